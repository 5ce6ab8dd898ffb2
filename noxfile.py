#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2025.5.1"]
# ///
"""What CI runs, each session in an environment of its own; `nox -l` is the manual.

Every session installs the project as a user would, never editable, together with dependency groups
of pyproject.toml. Arguments after `--` go to the tool: `nox -s "tests(torch)" -- -k softmax`.
`nox -r` uses the environments of the last run again.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
# pip and not uv: pip takes the CPU build of PyTorch where one is at hand.
nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_missing_interpreters = True

PROJECT = nox.project.load_toml("pyproject.toml")
LIBRARIES = ("numpy", "strict", "torch", "triton", "jax", "dask", "cupy", "sparse", "ndonnx")
# What softaxis has backends for, and imports without a GPU. CuPy has no wheels for macOS.
IMPORTABLE = ("numpy", "torch", "jax", "dask", *(() if sys.platform == "darwin" else ("cupy",)))
# What runs on PyTorch's tensors with the backend torch_triton: interpreting kernels takes long.
INTERPRETED = (
    *("kernels_triton", "compile_triton", "benchmarks_triton"),
    *("accuracy", "axes", "cross_entropy", "derivatives"),
    *("special_values", "where"),
)
MUTATED = ("numpy", "torch", "jax", "dask")
STAGES = (("bare", ""), ("numpy", "[numpy]"), ("cli", "[cli]"), ("test", "[cli,test]"))
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
BIN = "Scripts" if sys.platform == "win32" else "bin"


def install(session: nox.Session, *groups: str) -> None:
    """Install the project from this folder with some of its dependency groups.

    Sessions share the folder for compiled kernels: it takes minutes to compile them all.
    """
    kernels = str(session.cache_dir.resolve() / "kernels")
    session.env["NUMBA_CACHE_DIR"] = os.environ.get("NUMBA_CACHE_DIR", kernels)
    session.install(".", *nox.project.dependency_groups(PROJECT, *groups))


@nox.session
@nox.parametrize("library", LIBRARIES, ids=LIBRARIES)
def tests(session: nox.Session, library: str) -> None:
    """Run the tests on one array library, a process a core; `-- -n 0 --pdb` in a single one."""
    if library == "cupy" and "cupy" not in IMPORTABLE:
        session.skip("NOT RUN: CuPy has no wheels for macOS")
    if library == "triton" and sys.platform != "linux":
        session.skip("NOT RUN: Triton has wheels for Linux only")
    install(session, "test", library)
    chosen = [f"tests/test_{name}.py" for name in INTERPRETED] if library == "triton" else []
    session.run("pytest", "-n", "auto", "--library", library, *chosen, *session.posargs)
    if library == "triton" and not cuda_device(session, "torch.cuda"):
        session.skip(
            "the kernels ran in Triton's interpreter and compiled for sm_80 and sm_90, and passed; "
            "they were NOT RUN on a GPU, for there is none here"
        )
    if library == "cupy" and not cuda_device(session):
        session.skip(
            "what needs no GPU ran and passed; what needs one was NOT RUN, for there is none here "
            "(pytest's summary above names it)"
        )


def cuda_device(session: nox.Session, module: str = "cupy") -> bool:
    """Whether CuPy, or PyTorch, finds a GPU and its driver."""
    script = f"import {module}; print({module}.is_available())"
    answer = session.run("python", "-c", script, silent=True, log=False)
    return str(answer).strip() == "True"


@nox.session
def lint(session: nox.Session) -> None:
    """Check format, style, spelling, public docstrings and pyproject.toml."""
    install(session, "lint")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("codespell")
    session.run("validate-pyproject", "pyproject.toml")
    session.run("python", ".ci/check_docstrings.py")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the package and of this file, strictly."""
    install(session, "types")
    session.run("mypy", *session.posargs)


@nox.session(name="docs-examples")
def docs_examples(session: nox.Session) -> None:
    """Execute the examples in the docstrings, in the README and in the documentation."""
    install(session, "examples", *IMPORTABLE)
    pages = ["README.md", *map(str, sorted(Path("docs").glob("*.md")))]
    ignored = ["--ignore-glob=*_triton*"]  # not installed here; it has no examples
    ignored += [] if "cupy" in IMPORTABLE else ["--ignore-glob=*cupy*"]
    session.run(
        *("pytest", "-p", "markdown_examples", "--doctest-modules", *ignored),
        *("--pyargs", "softaxis", *pages, *session.posargs),
        env={"PYTHONPATH": ".ci"},
    )


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error. It opens at docs/_build/html/index.html."""
    install(session, "docs", *IMPORTABLE, *(["triton"] if sys.platform == "linux" else []))
    session.run("python", ".ci/check_docstrings.py")  # also of what "lint" cannot import
    session.run("sphinx-build", "-q", "-W", "--keep-going", "docs", "docs/_build/html")


@nox.session
def build(session: nox.Session) -> None:
    """Build wheel and sdist, install each into an empty environment and call it there."""
    session.install(*nox.project.dependency_groups(PROJECT, "build"))
    dist = Path("dist").resolve()
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(dist))
    (wheel,) = dist.glob("*.whl")
    (sdist,) = dist.glob("*.tar.gz")
    session.run("twine", "check", "--strict", str(wheel), str(sdist))
    session.run("check-wheel-contents", str(wheel))
    script = Path(".ci/check_installed.py").resolve()
    for archive in (wheel, sdist):
        empty = Path(session.create_tmp()).resolve() / archive.name
        session.run("virtualenv", "--clear", str(empty), silent=True)
        python = str(empty / BIN / "python")
        session.chdir(empty)  # so that nothing is imported from the checkout
        for stage, extra in STAGES:
            session.run(
                *(python, "-m", "pip", "install", "--quiet", f"{archive}{extra}"), external=True
            )
            session.run(python, "-I", str(script), stage, external=True)
        session.chdir(session.invoked_from)


@nox.session
def plugins(session: nox.Session) -> None:
    """Install the example backend from its wheel, as a stranger's, and let it prove itself."""
    dist = Path(session.create_tmp()).resolve()
    session.install(".[cli,test]", *nox.project.dependency_groups(PROJECT, "build"))
    example, broken = (
        _wheel(session, name, dist) for name in ("softaxis-example", "broken-examples")
    )
    session.install(example)
    folder = Path("plugins/softaxis-example").resolve()
    session.chdir(dist)  # so that nothing is imported from the checkout
    session.run("pytest", str(folder))
    session.run("softaxis", "test", "example")
    kit = ("pytest", "-q", "-p", "softaxis.testing.plugin")
    session.run(*kit, "--pyargs", "softaxis.testing.conformance", "--softaxis-backend", "example")
    session.run("softaxis", "doctor", "example")
    session.install(broken)
    names = ("raises_on_import", "crash_on_import", "wrong_numbers", "mutates_input")
    session.run("softaxis", "doctor", *names, success_codes=[1])


def _wheel(session: nox.Session, name: str, dist: Path) -> str:
    """Build the wheel of a plugin."""
    shutil.rmtree(dist / name, ignore_errors=True)
    session.run("python", "-m", "build", "--wheel", "--outdir", str(dist / name), f"plugins/{name}")
    (wheel,) = (dist / name).glob("*.whl")
    return str(wheel)


@nox.session
def demo(session: nox.Session) -> None:
    """Train a classifier of handwritten digits; `-- torch` or `-- jax`: and a transformer."""
    library = session.posargs[0] if session.posargs else "numpy"
    group = library.removeprefix("array_api_")  # the group of array_api_strict is called strict
    install(session, "demo", group)
    session.run("python", "examples/digits.py", library, *session.posargs[1:])
    if library in ("torch", "jax"):
        session.run("python", f"examples/sonnets_{library}.py", "--native")


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Call every function with drawn arguments for 10 minutes; `-- --library torch --minutes 3`."""
    given = session.posargs
    library = given[given.index("--library") + 1] if "--library" in given else "numpy"
    install(session, "test", library)
    session.run("python", "tests/fuzz/run.py", *given)


@nox.session(default=False)
@nox.parametrize("library", MUTATED, ids=MUTATED)
def mutants(session: nox.Session, library: str) -> None:
    """Hold the conformance kit against every wrong line that is planted in our backends."""
    install(session, "test", library)
    tests_of = f"tests/test_mutants_{library}.py"
    everything = {"SOFTAXIS_MUTANTS": "all"}
    session.run("pytest", "--library", library, tests_of, *session.posargs, env=everything)


@nox.session(default=False)
def conformance(session: nox.Session) -> None:
    """Hold every backend to its promises, and record the largest errors for the documentation."""
    install(session, "test", "strict", *(name for name in IMPORTABLE if name != "cupy"))
    session.run("python", "docs/_ext/measure.py", *session.posargs, env={"JAX_ENABLE_X64": "1"})


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure speed beside SciPy, PyTorch and JAX, memory and overheads; `-- --quick` in part.

    `-- --rows` records what the documentation plots against the length of a row, and `-- --native`
    sets PyTorch's functions beside ours on tensors, with their gradients.
    """
    install(session, "bench")
    scripts = {"--rows": "row_lengths.py", "--native": "torch_native.py"}
    script = next((scripts[one] for one in session.posargs if one in scripts), "bench.py")
    given = [one for one in session.posargs if one not in scripts]
    session.run("python", f"asv_benchmarks/{script}", *given)


@nox.session(name="bench-cuda", default=False)
def bench_cuda(session: nox.Session) -> None:
    """Measure the CUDA kernels on a GPU, beside a copy; `-- --json FILE` records the figures.

    `-- --triton` measures those for PyTorch, beside its own and what torch.compile makes.
    """
    if "--triton" in session.posargs:
        install(session, "triton")
        given = [one for one in session.posargs if one != "--triton"]
        if "--dry" not in given and not cuda_device(session, "torch.cuda"):
            session.skip("NOT MEASURED: PyTorch finds no GPU with its driver here")
        session.run("python", "asv_benchmarks/triton_native.py", *given)
        return
    install(session, "cupy")
    if not cuda_device(session):
        session.skip("NOT MEASURED: CuPy finds no GPU with its driver here")
    session.run("python", "asv_benchmarks/gpu.py", *session.posargs)


@nox.session(default=False)
def asv(session: nox.Session) -> None:
    """Record HEAD, or the commits named after `--`, in asv_benchmarks/results."""
    session.install(*nox.project.dependency_groups(PROJECT, "asv"))
    session.run("python", "asv_benchmarks/record.py", *session.posargs)


@nox.session(default=False)
def dashboard(session: nox.Session) -> None:
    """Publish what is recorded in asv_benchmarks/.asv/html, and look at it in a browser."""
    session.install(*nox.project.dependency_groups(PROJECT, "dashboard"))
    session.run("python", "asv_benchmarks/publish.py")
    session.run("pytest", "asv_benchmarks/tests", *session.posargs)
    if not any(map(shutil.which, BROWSERS)):
        session.skip("published, but NOT looked at: there is no Chromium here")


if __name__ == "__main__":
    nox.main()
