"""Dispatch of Dask arrays: one backend, no scan, nothing computed."""

import pytest
from distributions import run
from transformed import values

import softaxis

dask_array = pytest.importorskip("dask.array", exc_type=ImportError)


def test_a_plain_call_loads_one_backend_and_never_scans(tmp_path):
    seen = run(
        """
import json, sys, importlib.metadata
import dask, dask.array as da
x = da.ones((2, 3))
def forbidden(*args, **kw):
    raise AssertionError("not in a plain call")
importlib.metadata.entry_points = importlib.metadata.distributions = forbidden
import softaxis
with dask.config.set(scheduler=forbidden):
    softaxis.softmax(x); softaxis.logsumexp(x, axis=0); softaxis.softmax(x, where=x > 0)
loaded = [name for name in sys.modules if name.startswith("softaxis._backends.")]
print(json.dumps(dict(loaded=loaded)))
""",
        "good",
        site=tmp_path,
    )
    assert seen["loaded"] == ["softaxis._backends.dask"]


def test_numpy_arrays_do_not_go_to_dask():
    assert softaxis.explain_dispatch(softaxis.softmax, values()["x"]).backend == "numpy"


def test_what_runs_and_why_not():
    x = dask_array.from_array(values()["x"], chunks=(2, 5))
    assert softaxis.explain_dispatch(softaxis.softmax, x).backend == "dask"
    explained = softaxis.explain_dispatch(softaxis.softmax, x, axis=0)
    assert explained.candidates[0] == ("dask", "declined", "rows are cut into several blocks")
    assert explained.backend == "default"
    with pytest.raises(NotImplementedError, match="rows are cut into several blocks"):
        softaxis.get_backend("dask").softmax(x, axis=0)
