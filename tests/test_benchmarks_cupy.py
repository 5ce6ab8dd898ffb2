"""What `nox -s bench-cuda` computes, and says where there is no GPU."""

import subprocess
import sys
from pathlib import Path

import cupy
import pytest

FOLDER = Path(__file__).parents[1] / "asv_benchmarks"


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import gpu

    return gpu


def test_bytes_are_counted_once(gpu):
    assert gpu.traffic("softmax", 3, 5, 4) == 2 * 3 * 5 * 4
    assert gpu.traffic("logsumexp", 3, 5, 4) == 3 * 5 * 4 + 3 * 4
    assert gpu.traffic("cross_entropy", 3, 5, 2) == 3 * 5 * 2 + 3 * 8 + 3 * 2


def test_a_line_has_the_bandwidth_and_the_ratios(gpu):
    one = {"function": "softmax", "dtype": "float32", "rows": 7, "length": 1024}
    one |= {"regime": "a row a warp"}
    one |= {"copy_bytes_per_second": 4e12, "bytes_per_second": 3e12}
    text = gpu.line(one | {"seconds": {"softaxis": 0.002, "cupyx": 0.009}})
    assert text.endswith(
        "2.000 ms, 3.00 TB/s, 0.75 of a copy, 4.50 times as fast as cupyx, a row a warp"
    )


@pytest.mark.skipif(cupy.is_available(), reason="there is a GPU: it would be measured")
def test_without_a_gpu_nothing_is_measured_or_recorded(tmp_path):
    file = tmp_path / "gpu.json"
    command = [sys.executable, FOLDER / "gpu.py", "--json", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("NOT MEASURED: ")
    assert not file.exists()
