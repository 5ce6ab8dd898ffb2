"""What `nox -s bench-cuda -- --triton` calls, and says where there is no GPU."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parents[1] / "asv_benchmarks"


@pytest.fixture
def triton_native(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import triton_native

    return triton_native


def test_every_call_is_made(triton_native):
    """In the manner of --dry: forward and with the gradient."""
    points = list(triton_native.point("cross_entropy, smoothing", (3, 10), torch.float32, dry=True))
    assert [one["way"] for one in points] == ["forward", "with gradient"]
    assert all(one["difference_eps"] < 16 for one in points)
    assert all("not measured" in triton_native.line(one) for one in points)


def test_a_line_has_times_ratios_and_memory(triton_native):
    one = {"function": "logsumexp", "way": "forward", "dtype": "float32", "shape": (7, 1024)}
    one |= {"difference_eps": 0.5}
    one |= {"milliseconds": {"torch_triton": 2.0, "native": 5.0}}
    one |= {"mebibytes": {"torch_triton": 1.0, "native": 30.0}}
    text = triton_native.line(one)
    assert text.endswith("2.000 ms (1 MiB); native 2.50 x (30 MiB), 0.5 eps from native")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: it would be measured")
def test_without_a_gpu_nothing_is_measured_or_recorded(tmp_path):
    file = tmp_path / "triton.json"
    command = [sys.executable, FOLDER / "triton_native.py", "--json", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("NOT MEASURED: ")
    assert not file.exists()
