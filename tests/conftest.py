"""One library a run (``pytest --library NAME``), one fixture ``xp``, and what did not run."""

import collections
import importlib.util

import hypothesis
import pytest
from libraries import LIBRARIES, ArrayLibrary, variants

NOT_RUN = pytest.StashKey[collections.Counter]()
VARIANTS = pytest.StashKey[list[ArrayLibrary]]()


def pytest_addoption(parser):
    parser.addoption(
        "--all-cases",
        action="store_true",
        help="run every case of every test, also on the variants that run a share of them",
    )
    parser.addoption(
        "--library",
        default="numpy",
        choices=sorted(LIBRARIES),
        help="the array library that the tests run on (default: numpy)",
    )


def pytest_configure(config):
    config.addinivalue_line(
        "markers",
        "needs(*abilities): what the array library must have (a dtype, 'complex', 'writing', ...)",
    )
    config.addinivalue_line("markers", "only(kind): the test is about libraries of this kind")
    config.addinivalue_line("markers", "needs_package(name): a package to compare with")
    config.addinivalue_line(
        "markers", "without_computing: the test runs on arrays that no kernel can touch as well"
    )
    name = config.getoption("--library")
    try:
        config.stash[VARIANTS] = variants(name)
    except ImportError as error:
        raise pytest.UsageError(
            f"--library {name}: the library cannot be imported ({error})"
        ) from error
    config.stash[NOT_RUN] = collections.Counter()
    # the same examples every time; fewer where a call compiles or builds a graph
    hypothesis.settings.register_profile(
        "repeatable",
        max_examples={"numpy": 100, "strict": 50, "torch": 100}.get(name, 10),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
    )
    hypothesis.settings.load_profile("repeatable")


def pytest_ignore_collect(collection_path, config):
    """Leave out the files about other libraries: ``test_transforms_torch.py`` is about PyTorch."""
    about = collection_path.stem.rpartition("_")[2]
    return True if about in LIBRARIES and about != config.getoption("--library") else None


def pytest_generate_tests(metafunc):
    if "xp" in metafunc.fixturenames:
        metafunc.parametrize("xp", metafunc.config.stash[VARIANTS], indirect=True, ids=repr)


@pytest.fixture
def xp(request):
    """One array library in one variant: an `ArrayLibrary`."""
    with request.param.active():
        yield request.param


def pytest_runtest_teardown(item, nextitem):
    """Let the libraries forget after each file what its tests made them keep."""
    if nextitem is None or nextitem.path != item.path:
        for variant in item.config.stash[VARIANTS]:
            variant.forget()


def lacking(item):
    """Say why a test cannot run on its variant of the library; None if it can.

    Nothing is to be said about a test that is about libraries of another kind.
    """
    for mark in item.iter_markers("needs_package"):
        if importlib.util.find_spec(mark.args[0]) is None:
            return f"{mark.args[0]} is not installed"
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    library = parameters.get("xp")
    if library is None:
        return None
    kinds = [mark.args[0] for mark in item.iter_markers("only")]
    if any(not library.is_of(kind) for kind in kinds):
        return ""
    needs = [need for mark in item.iter_markers("needs") for need in mark.args]
    needs += [parameters["dtype"]] if "dtype" in parameters else []
    shapes_suffice = item.get_closest_marker("without_computing") is not None
    if not shapes_suffice or (library.refused and "sparse" not in kinds):
        needs.insert(0, "computing")
    reasons = (library.lacks(need) for need in needs)
    return next((reason for reason in reasons if reason is not None), None)


def pytest_collection_modifyitems(config, items):
    """Take out what a variant cannot run or has no share in, and count the reasons."""
    kept, left_out = [], []
    cases = collections.Counter()
    for item in items:
        reason = lacking(item)
        library = item.callspec.params.get("xp") if hasattr(item, "callspec") else None
        if reason is None and library is not None and not config.getoption("--all-cases"):
            case = (item.path, item.originalname, library.name)
            if cases[case] % library.share:
                reason = f"{library.name} runs a share of the cases (--all-cases: all of them)"
            cases[case] += 1
        if reason is None:
            kept.append(item)
        else:
            left_out.append(item)
            config.stash[NOT_RUN].update([reason] if reason else [])
    items[:] = kept
    config.hook.pytest_deselected(items=left_out)


def pytest_sessionfinish(session):
    """Hand the reasons over to the process that reports, where this is a worker of pytest-xdist."""
    workeroutput = getattr(session.config, "workeroutput", None)
    if workeroutput is not None:
        workeroutput["not_run"] = dict(session.config.stash[NOT_RUN])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Take the reasons from a worker, if it lived to tell; all have collected the same tests."""
    told = getattr(node, "workeroutput", {})
    node.config.stash[NOT_RUN] |= collections.Counter(told.get("not_run", {}))


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter, config):
    """Say in the last lines what did not run on this library, and why."""
    not_run = config.stash[NOT_RUN]
    if not_run:
        terminalreporter.section(f"not run on {config.getoption('--library')}")
        for reason, count in not_run.most_common():
            terminalreporter.line(f"{count:5d} tests: {reason}")
