"""The kernels written in Triton compile for the GPUs of two generations, and spill no register.

Triton brings the compiler; no GPU is needed, nothing here is run on one, and nothing is measured.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("compile_triton.py")
KERNELS = {
    *("normalize", "reduce", "losses", "losses_vjp", "softmax_vjp", "log_softmax_vjp"),
    *("parts", "join"),
}


def environment():
    """Return the environment without the wish to interpret."""
    return {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}


@pytest.mark.parametrize("architecture", ["80", "90"])
def test_the_kernels_compile_and_spill_nothing(architecture, tmp_path, pytestconfig):
    given = ["--all-cases"] if pytestconfig.getoption("--all-cases") else []
    done = subprocess.run(
        [sys.executable, "-W", "error", SCRIPT, architecture, *given],
        env=environment() | {"TRITON_CACHE_DIR": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {one["kernel"] for one in found} == KERNELS
    assert [one for one in found if one["stack"]] == []
    print(f"{len(found)} kernels compiled for sm_{architecture}; they did NOT RUN on a GPU")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["doctor", "torch_triton", "--json", "-"], 0, '"no device"'),
        (["test", "torch_triton", "--function", "softmax"], 2, "finds no GPU with its driver"),
    ],
    ids=["doctor", "test"],
)
def test_without_a_gpu_the_command_line_says_so(arguments, status, said):
    done = subprocess.run(
        [sys.executable, "-m", "softaxis", *arguments],
        env=environment(),
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == status
    assert said in done.stdout + done.stderr
