"""Compile what the backend torch_triton would launch, for a GPU that need not be there.

python tests/compile_triton.py COMPUTE_CAPABILITY [--all-cases]

Prints a line of JSON for each kernel: what was asked for, and the registers and the bytes of stack
that ptxas gave it. A kernel that spills has a stack. Nothing runs: the tensors are the CPU's, and
in place of launching a kernel Triton only compiles it.
"""

import itertools
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import triton
from triton.backends.compiler import GPUTarget

from softaxis._backends._torch_autograd import Terms
from softaxis._backends._triton import _launch
from softaxis._backends._triton._functions import KERNELS

DTYPES = (torch.float32, torch.bfloat16, torch.float64, torch.float16)
LENGTHS = (10, 1000, 4096, 8192, 32000)  # several rows a tile; a row a tile; a row in parts
PLAIN = Terms(None, None, -100, 0.0, 0.0, "none")


class Driver:
    """A GPU as far as compiling goes."""

    def __init__(self, capability):
        self.target = GPUTarget("cuda", capability, 32)

    def get_current_target(self):
        return self.target

    def get_current_device(self):
        return 0

    def get_current_stream(self, _):
        return 0

    def get_active_torch_device(self):
        return torch.device("cpu")


def usage(cubin):
    """Return the registers and the bytes of stack of a compiled kernel."""
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        done = subprocess.run(
            [tool, "-res-usage", file.name], check=True, capture_output=True, text=True
        )
    registers, stack = re.search(r"REG:(\d+) STACK:(\d+)", done.stdout).groups()
    return {"registers": int(registers), "stack": int(stack)}


def calls(dtype, length):
    """Yield names of calls, and the calls, on rows along the last axis and along the first."""
    x = torch.empty(999, length, dtype=dtype)
    where = torch.empty(x.shape, dtype=torch.bool)
    labels, g = torch.empty(999, dtype=torch.int64), torch.empty(999, 1, dtype=dtype)
    weights = torch.empty(length, dtype=dtype)
    everything = Terms(where, weights, -100, 0.1, 1e-4, "none")
    K = KERNELS
    yield "cross_entropy, all", lambda: K.cross_entropy(x, labels, 1, everything)
    yield "cross_entropy_vjp, all", lambda: K.cross_entropy_vjp(x, labels, g[:, 0], 1, everything)
    yield "log_softmax, where", lambda: K.log_softmax(x, 1, where)
    yield "softmax_vjp", lambda: K.softmax_vjp(x, x, 1)
    yield "log_softmax_vjp", lambda: K.log_softmax_vjp(x, x, 1)
    yield "logsumexp_vjp, where", lambda: K.logsumexp_vjp(x, g, g, 1, where)
    yield "cross_entropy", lambda: K.cross_entropy(x, labels, 1, PLAIN)
    yield "cross_entropy_vjp", lambda: K.cross_entropy_vjp(x, labels, g[:, 0], 1, PLAIN)
    yield "softmax", lambda: K.softmax(x, 1, None)
    yield "logsumexp, where", lambda: K.logsumexp(x, 1, where)
    yield "softmax, along the first axis", lambda: K.softmax(x.T, 0, None)
    yield "softmax_vjp, along the first axis", lambda: K.softmax_vjp(x.T, x.T, 0)


def main(capability, everything):
    """Compile a few of the calls, or all of them."""
    triton.runtime.driver.set_active(Driver(capability))
    asked = {}

    def start(kernel, programs, *arguments, **constants):
        compiled = kernel.warmup(*arguments, grid=(programs,), enable_fp_fusion=False, **constants)
        found = {"kernel": kernel.__name__, **asked, **usage(compiled.asm["cubin"])}
        print(json.dumps(found), flush=True)

    _launch.start = start
    number = 0
    for dtype, length in itertools.product(DTYPES, LENGTHS):
        for name, call in calls(dtype, length):
            number += 1
            if everything or number % 11 == 0:
                asked |= {"dtype": str(dtype), "length": length, "call": name}
                call()


if __name__ == "__main__":
    main(int(sys.argv[1]), "--all-cases" in sys.argv)
