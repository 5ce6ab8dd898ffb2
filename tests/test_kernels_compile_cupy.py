"""Every CUDA kernel compiles for the GPUs of three generations, and spills no register.

NVRTC compiles without a GPU; nothing here is run, and nothing is measured.
"""

from pathlib import Path

import pytest

from softaxis._backends._cupy import _kernels
from softaxis._backends._cupy._configure import configure

nvrtc = pytest.importorskip("cupy_backends.cuda.libs.nvrtc")
ARCHITECTURES = ("sm_80", "sm_90", "sm_100")
LENGTHS = (10, 300, 100_003)  # several rows a warp, a row a warp, a row in parts of 1024 threads
KERNELS = ("whole", "parts_of", "merge", "finish")


def headers():
    """Return where `cuda_fp16.h` lies: in the wheel of the CUDA runtime."""
    import nvidia.cuda_runtime

    return Path(next(iter(nvidia.cuda_runtime.__path__))) / "include"


def compiled(architecture, definitions):
    """Return the cubin and the compiler's report."""
    program = nvrtc.createProgram(_kernels.source(), "rows.cu", (), ())
    options = ("--std=c++17", f"--gpu-architecture={architecture}", f"-I{headers()}")
    try:
        nvrtc.compileProgram(program, (*options, "--ptxas-options=-v", *definitions))
        return nvrtc.getCUBIN(program), nvrtc.getProgramLog(program)
    finally:
        nvrtc.destroyProgram(program)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("itemsize", [2, 4, 8])
@pytest.mark.parametrize("beside", [False, True], ids=["along", "beside"])
@pytest.mark.parametrize("length", LENGTHS)
def test_the_kernels_compile_and_spill_nothing(architecture, itemsize, beside, length):
    strides = {"stride": 999, "between": 1} if beside else {}
    configuration = configure(999, length, itemsize, **strides)
    assert configuration.beside == beside
    cubin, report = compiled(architecture, _kernels.definitions(configuration, itemsize))
    assert cubin[:4] == b"\x7fELF"
    for name in KERNELS:
        assert f"'{name}'" in report, report
    spills = [line for line in report.splitlines() if "spill" in line]
    assert len(spills) >= len(KERNELS), report
    for line in spills:
        assert "0 bytes spill stores, 0 bytes spill loads" in line, report


def test_the_source_is_in_one_piece():
    text = _kernels.source()
    assert '#include "' not in text
    assert "struct Normalizer" in text
