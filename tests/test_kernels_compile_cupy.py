"""Every CUDA kernel compiles for the GPUs of three generations, and spills no register.

NVRTC compiles without a GPU; nothing here is run, and nothing is measured.
"""

import re

import pytest

from softaxis._backends._cupy import _kernels
from softaxis._backends._cupy._calls import ALL, MORE, PLAIN
from softaxis._backends._cupy._configure import ASIDE, Limits, configure

nvrtc = pytest.importorskip("cupy_backends.cuda.libs.nvrtc")
ARCHITECTURES = ("sm_80", "sm_90", "sm_100")
SIZES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}
LENGTHS = (10, 300, 2000, 100_003)  # several rows a warp, a row a warp, a row a block, in parts
LIMITS = {name: Limits(227 * 1024, 8) for name in ARCHITECTURES} | {"sm_80": Limits(163 * 1024, 1)}
KEPT = [(name, blocks) for name in ARCHITECTURES for blocks in (1, 2, 4, 8)]
LEVELS = (PLAIN, MORE, ALL)
TASKS = [(f, asked) for f in range(9) for asked in LEVELS if not asked or not _kernels.is_vjp(f)]
SHARE = {
    "sm_80": [(_kernels.SOFTMAX, PLAIN), (_kernels.CROSS_ENTROPY_AND_GRAD, ALL)],
    "sm_90": [
        (_kernels.SOFTMAX, PLAIN),
        (_kernels.LOG_SOFTMAX, ALL),
        (_kernels.LOGMEANEXP, MORE),
        (_kernels.CROSS_ENTROPY_AND_GRAD, PLAIN),
        (_kernels.HARDMAX, MORE),
        (_kernels.SOFTMAX_VJP, PLAIN),
        (_kernels.LOG_SOFTMAX_VJP, PLAIN),
    ],
    "sm_100": [(_kernels.SOFTMAX, PLAIN), (_kernels.LOG_SOFTMAX_VJP, PLAIN)],
}
"""Which of the tasks are compiled without --all-cases."""


def compiled(architecture, definitions):
    """Return the cubin and, for each kernel, how many bytes it spills and its shared memory."""
    program = nvrtc.createProgram(_kernels.source(), "rows.cu", (), ())
    options = ("--std=c++17", f"--gpu-architecture={architecture}", "--ptxas-options=-v")
    try:
        nvrtc.compileProgram(program, (*options, *definitions))
        report = nvrtc.getProgramLog(program)
        names = re.findall(r"Compiling entry function '(\w+)'", report)
        spills = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", report)
        used = re.findall(r"Used \d+ registers[^\n]*", report)
        shared = [int((re.findall(r"(\d+) bytes smem", line) or ["0"])[0]) for line in used]
        assert len(names) == len(spills) == len(used), report
        spilled = [int(a) + int(b) for a, b in spills]
        of = zip(spilled, shared, strict=True)
        return nvrtc.getCUBIN(program), dict(zip(names, of, strict=True))
    finally:
        nvrtc.destroyProgram(program)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("beside", [False, True], ids=["along", "beside"])
@pytest.mark.parametrize("length", LENGTHS)
def test_the_kernels_compile_and_spill_nothing(architecture, dtype, beside, length, pytestconfig):
    strides = {"stride": 999, "between": 1} if beside else {}
    configuration = configure(999, length, SIZES[dtype], limits=Limits(0, 1), **strides)
    assert configuration.beside == beside
    every = pytestconfig.getoption("--all-cases")
    share = SHARE[architecture][: 1 if beside else None]
    for function, asked in TASKS if every else share:
        if configuration.parts == 1 or _kernels.takes_parts(function):
            assert_compiles(architecture, configuration, dtype, function, asked)


@pytest.mark.parametrize("dtype", SIZES)
@pytest.mark.parametrize(("architecture", "blocks"), KEPT)
def test_the_kernels_of_rows_in_shared_memory(architecture, blocks, dtype, pytestconfig):
    """By one block, and by the clusters that sm_90 and newer have."""
    limits = LIMITS[architecture]
    if blocks > limits.cluster:
        return
    share = SHARE[architecture] if blocks == limits.cluster else [(_kernels.SOFTMAX, PLAIN)]
    for function, asked in TASKS if pytestconfig.getoption("--all-cases") else share:
        arrays = 2 if _kernels.is_vjp(function) else 1
        size = SIZES[dtype] * arrays
        length = blocks * (limits.shared // 2 - ASIDE) // size // 8 * 8
        configuration = configure(999, length, SIZES[dtype], limits=limits, arrays=arrays)
        assert configuration.cluster == blocks
        assert_compiles(architecture, configuration, dtype, function, asked)


def assert_compiles(architecture, configuration, dtype, function, asked):
    """Compile what a call launches: without spills, and with the shared memory it asks for."""
    options = _kernels.shape_of(configuration, dtype, dtype) + _kernels.task_of(function, asked)
    cubin, found = compiled(architecture, options)
    assert cubin[:4] == b"\x7fELF"
    launched = {name for name, *_ in _kernels.launches(configuration, 999, function)}
    assert launched <= found.keys()
    for name in launched:
        spilled, shared = found[name]
        assert spilled == 0, (found, options)
        assert not configuration.cluster or shared + 1024 <= ASIDE, "1024 bytes are CUDA's own"


def test_the_source_is_in_one_piece_and_needs_no_header_of_cuda():
    text = _kernels.source()
    assert "#include" not in text
    assert "struct Normalizer" in text
