"""Backends of other distributions: who runs, who is skipped, and what is said about it."""

import pytest
from distributions import run

HEAD = """
import json, numpy as np, softaxis
x = np.array([[1.0, 2.0], [0.0, -1.0]])
right = softaxis.get_backend("default").softmax(x)
def ran(*args, **kw):
    return softaxis.explain_dispatch(softaxis.softmax, *args, **kw).backend
def states():
    return {b.name: (b.state, b.origin, b.reason) for b in softaxis.list_backends()}
"""


@pytest.fixture
def python(tmp_path):
    """Run code after `HEAD`, with plugins installed."""
    return lambda code, *plugins, **options: run(HEAD + code, *plugins, site=tmp_path, **options)


def test_a_third_party_backend_runs_only_when_it_is_preferred(python):
    seen = python(
        """
import sys
before = [ran(x), "softaxis_test_good" in sys.modules, states()["good"]]
with softaxis.backend_opts(prioritize="good"):
    inside = ran(x), bool(np.array_equal(softaxis.softmax(x), right))
after = [ran(x), states()["good"]]
softaxis.set_backends(prioritize="good")
chosen = ran(x)
softaxis.set_backends()
print(json.dumps(dict(before=before, inside=inside, after=after, chosen=chosen, last=ran(x))))
""",
        "good",
    )
    origin = "softaxis-test-good 1.0"
    assert seen == {
        "before": ["numpy", False, ["available", origin, ""]],
        "inside": ["good", True],
        "after": ["numpy", ["ready", origin, ""]],
        "chosen": "good",
        "last": "numpy",
        "log": [],
    }


def test_an_older_backend_declines_the_keywords_it_lacks_unless_they_are_at_their_defaults(python):
    seen = python(
        """
softaxis.set_backends(prioritize="good")
calls = [{}, dict(sink=None), dict(sink=0.0), dict(where=x > 0), dict(temperature=2.0)]
calls += [dict(axis=0)]
with_sink = np.exp(x) / (1 + np.exp(x).sum(1, keepdims=True))
explained = [softaxis.explain_dispatch(softaxis.softmax, x, **kw) for kw in calls]
print(json.dumps(dict(
    ran=[e.backend for e in explained],
    first=[e.candidates[0] for e in explained],
    right=np.allclose(softaxis.softmax(x, sink=0.0), with_sink),
)))
""",
        "good",
    )
    assert seen["ran"][:2] == ["good", "good"]
    assert seen["ran"][5] == "good"
    assert "good" not in seen["ran"][2:5]
    assert seen["first"] == [
        ["good", "ran", ""],
        ["good", "ran", ""],
        ["good", "declined", "takes no `sink`"],
        ["good", "declined", "no mask yet"],
        ["good", "declined", ""],
        ["good", "ran", ""],
    ]
    assert seen["right"]


def test_the_capability_record_decides_what_is_offered(python):
    seen = python(
        """
softaxis.set_backends(prioritize="good")
def why(function, x):
    return softaxis.explain_dispatch(function, x).candidates[0]
print(json.dumps(dict(
    float32=why(softaxis.softmax, x.astype("float32")),
    int64=why(softaxis.softmax, x.astype(int)),
    small=why(softaxis.log_sigmoid, np.ones((3, 3))),
    large=why(softaxis.log_sigmoid, np.ones((2, 5))),
    device=why(softaxis.sigmoid, x),
    lacking=why(softaxis.logsumexp, x),
    listed=sorted(next(b for b in softaxis.list_backends() if b.name == "good").functions),
)))
""",
        "good",
    )
    assert seen == {
        "float32": ["good", "declined", "takes float64 only"],
        "int64": ["good", "declined", "takes float64 only"],
        "small": ["good", "ran", ""],  # whoever prioritizes it wants it at every size
        "large": ["good", "ran", ""],
        "device": ["good", "declined", "runs on tpu only"],
        "lacking": ["numba", "declined", "fewer than 131072 elements"],
        "listed": ["log_sigmoid", "sigmoid", "softmax"],
        "log": [],
    }


def test_a_broken_backend_that_nobody_asked_for_is_never_imported(python):
    seen = python(
        "print(json.dumps(dict(ran=ran(x), state=states()['unimportable'])))", "unimportable"
    )
    assert seen["ran"] == "numpy"
    assert seen["state"][0] == "available"
    assert seen["log"] == []


def test_a_broken_backend_is_remembered_for_the_listing(python):
    seen = python(
        """
before = [ran(x)]
loaded = {b.name: (b.state, b.reason) for b in softaxis.list_backends(load=True)}
softaxis.list_backends(load=True)
print(json.dumps(dict(loaded=loaded["unimportable"], again=states()["unimportable"], ran=ran(x))))
""",
        "unimportable",
    )
    reason = "ImportError: no driver for this machine"
    assert seen["loaded"] == ["broken", reason]
    assert seen["again"] == ["broken", "softaxis-test-unimportable 1.0", reason]
    assert seen["ran"] == "numpy"
    assert len(seen["log"]) == 1
    assert "'unimportable' (softaxis-test-unimportable 1.0) is broken and skipped" in seen["log"][0]


@pytest.mark.parametrize("ask", ["backend_opts", "set_backends", "get_backend"])
def test_a_broken_backend_asked_for_in_code_is_an_error_with_its_cause(python, ask):
    seen = python(
        f"""
def ask():
    if {ask!r} == "get_backend":
        softaxis.get_backend("unimportable")
    elif {ask!r} == "set_backends":
        softaxis.set_backends(prioritize="unimportable")
    else:
        with softaxis.backend_opts(prioritize=["default", "unimportable"]):
            raise AssertionError
errors = []
for _ in range(2):
    try:
        ask()
    except RuntimeError as error:
        errors.append((str(error), type(error.__cause__).__name__, str(error.__cause__)))
print(json.dumps(dict(errors=errors, ran=ran(x))))
""",
        "unimportable",
    )
    message = (
        "backend 'unimportable' (softaxis-test-unimportable 1.0) cannot be loaded: "
        "ImportError: no driver for this machine"
    )
    assert seen["errors"] == [[message, "ImportError", "no driver for this machine"]] * 2
    assert seen["ran"] == "numpy"
    assert seen["log"] == []


def test_a_broken_or_unknown_backend_asked_for_in_the_environment_is_one_log_line(python):
    seen = python(
        """
print(json.dumps(dict(ran=[ran(x) for _ in range(3)], lse=float(softaxis.logsumexp(x)))))
""",
        "unimportable",
        "good",
        SOFTAXIS_PRIORITIZE="nobody, unimportable,good",
    )
    assert seen["ran"] == ["good"] * 3
    assert len(seen["log"]) == 2
    assert "SOFTAXIS_PRIORITIZE names 'nobody', which is not installed" in seen["log"][0]
    assert "'unimportable'" in seen["log"][1]


def test_an_error_while_computing_reaches_the_user_and_nothing_else_is_tried(python):
    seen = python(
        """
import traceback
with softaxis.backend_opts(prioritize="raising", trace=True) as trace:
    try:
        softaxis.softmax(x)
    except ZeroDivisionError as error:
        where = traceback.extract_tb(error.__traceback__)[-1].filename
print(json.dumps(dict(trace=trace, where=where, ran=ran(x))))
""",
        "raising",
    )
    why = "ZeroDivisionError: while computing"
    assert seen["trace"] == [["softaxis:softmax", "raising", "raised", why]]
    assert seen["where"].endswith("softaxis_test_raising.py")
    assert seen["ran"] == "numpy"


def test_what_a_backend_computed_before_it_declined_leaks_nowhere(python):
    seen = python(
        """
import softaxis_test_careless
softaxis.set_backends(prioritize="careless")
wide = np.arange(12.0).reshape(4, 3)
default = softaxis.get_backend("default").softmax
out = np.empty((4, 3))
options = [{}, dict(axis=0), dict(where=wide > 4), dict(temperature=2.0), dict(sink=0.0),
           dict(dtype="float32"), dict(out=out), dict(axis=None), dict(axis=())]
results = [softaxis.softmax(wide, **kw) for kw in options]
results += [out]
expected = [default(wide, **{k: v for k, v in kw.items() if k != "out"}) for kw in [*options, {}]]
own = softaxis.softmax(x)
kept = softaxis_test_careless.returned
print(json.dumps(dict(
    close=[bool(np.allclose(a, b, rtol=1e-6)) for a, b in zip(results, expected)],
    same=[any(r is k or np.may_share_memory(r, k) for k in kept) for r in results],
    out_is_out=results[6] is out,
    own=[own is kept[-1], bool(np.allclose(own, right))],
    computed=len(kept),
)))
""",
        "careless",
    )
    assert all(seen["close"])
    assert not any(seen["same"])
    assert seen["out_is_out"]
    assert seen["own"] == [True, True]
    assert seen["computed"] >= 8  # it was asked each time


def test_one_backend_for_arrays_without_an_owner_is_used(python):
    seen = python(
        """
import array_api_strict as strict
y = strict.asarray([1.0, 2.0])
print(json.dumps(dict(ran=ran(y), value=float(softaxis.softmax(y)[0]), numpy=ran(x),
                      lse=softaxis.explain_dispatch(softaxis.logsumexp, y).backend)))
""",
        "rival_one",
    )
    assert seen == {"ran": "rival_one", "value": 1.0, "numpy": "numpy", "lse": "default", "log": []}


def test_of_two_backends_for_the_same_arrays_neither_is_used_until_one_is_chosen(python):
    seen = python(
        """
import array_api_strict as strict
y = strict.asarray([1.0, 2.0])
undecided = [ran(y) for _ in range(3)]
with softaxis.backend_opts(prioritize="rival_two"):
    inside = ran(y), float(softaxis.softmax(y)[0])
softaxis.set_backends(prioritize="rival_one")
chosen = ran(y)
softaxis.set_backends()
print(json.dumps(dict(undecided=undecided, inside=inside, chosen=chosen, after=ran(y))))
""",
        "rival_one",
        "rival_two",
    )
    assert seen["undecided"] == ["default"] * 3
    assert seen["inside"] == ["rival_two", 2.0]
    assert seen["chosen"] == "rival_one"
    assert seen["after"] == "default"
    (line,) = seen["log"]
    assert "rival_one, rival_two all claim Array; none is used" in line
    assert "softaxis.set_backends(prioritize='rival_one')" in line
    assert "SOFTAXIS_PRIORITIZE=rival_one" in line


@pytest.mark.parametrize(
    "environment",
    [{"SOFTAXIS_BLOCK": "rival_one"}, {"SOFTAXIS_PRIORITIZE": "rival_two"}],
    ids=["one blocked", "one preferred"],
)
def test_the_environment_chooses_between_two_backends(python, environment):
    seen = python(
        """
import array_api_strict as strict
print(json.dumps(dict(ran=ran(strict.asarray([1.0, 2.0])))))
""",
        "rival_one",
        "rival_two",
        **environment,
    )
    assert seen == {"ran": "rival_two", "log": []}


def test_a_subclass_belongs_to_the_package_that_owns_it(python):
    seen = python(
        """
from softaxis_test_tagged import Tagged, MoreTagged
class Foreign(np.ndarray):
    pass
tagged, more, foreign = (x.view(cls) for cls in (Tagged, MoreTagged, Foreign))
with softaxis.backend_opts(disable="tagged"):
    disabled = ran(tagged)
print(json.dumps(dict(plain=ran(x), tagged=ran(tagged), more=ran(more), foreign=ran(foreign),
                      disabled=disabled, value=float(softaxis.softmax(more)[0, 0]))))
""",
        "tagged",
    )
    assert seen == {
        "plain": "numpy",
        "tagged": "tagged",
        "more": "tagged",
        "foreign": "numpy",
        "disabled": "numpy",
        "value": 3.0,
        "log": [],
    }


def test_names_that_are_taken_and_objects_that_are_no_backends(python):
    seen = python(
        """
def error(name):
    try:
        softaxis.get_backend(name)
    except RuntimeError as error:
        return f"{type(error.__cause__).__name__}: {error.__cause__}"
origins = [(b.name, b.origin) for b in softaxis.list_backends()]
print(json.dumps(dict(origins=origins, wrong=error("no_backend"), misnamed=error("misnamed"))))
""",
        "squatter",
        "misnamed",
        "no_backend",
    )
    assert [origin for name, origin in seen["origins"] if name == "torch"] == ["softaxis"]
    assert seen["wrong"] == "TypeError: expected a softaxis.backend.Backend, got str"
    assert seen["misnamed"] == "ValueError: the backend calls itself 'numpy'"
    (line,) = seen["log"]
    assert "the name of backend 'torch' is taken; softaxis_test_squatter:backend skipped" in line


def test_a_blocked_backend_never_runs_and_is_never_imported(python):
    seen = python(
        """
import sys
def error(ask):
    try:
        ask()
    except RuntimeError as error:
        return str(error)
def prioritize():
    with softaxis.backend_opts(prioritize="good"):
        raise AssertionError
print(json.dumps(dict(
    ran=ran(x),
    state=states()["good"],
    numpy=states()["numpy"],
    errors=[error(lambda: softaxis.get_backend("good")), error(prioritize)],
    after=(softaxis.set_backends(), ran(x))[1],
    loaded=[b.state for b in softaxis.list_backends(load=True) if b.name == "good"],
    imported="softaxis_test_good" in sys.modules,
)))
""",
        "good",
        SOFTAXIS_BLOCK="numpy, good",
        SOFTAXIS_PRIORITIZE="good",
    )
    assert seen == {
        "ran": "default",
        "state": ["blocked", "softaxis-test-good 1.0", "SOFTAXIS_BLOCK names it"],
        "numpy": ["blocked", "softaxis", "SOFTAXIS_BLOCK names it"],
        "errors": ["backend 'good' is blocked by SOFTAXIS_BLOCK"] * 2,
        "after": "default",
        "loaded": ["blocked"],
        "imported": False,
        "log": [],
    }


def test_third_party_backends_are_switched_off_as_a_whole(python):
    seen = python(
        """
try:
    softaxis.get_backend("good")
except ValueError as error:
    unknown = str(error)
print(json.dumps(dict(names=list(states()), unknown=unknown, ran=ran(x))))
""",
        "good",
        "rival_one",
        SOFTAXIS_THIRD_PARTY="0",
    )
    assert seen["names"] == [
        "default",
        "numba",
        "numpy",
        "torch_numba",
        "torch",
        "torch_triton",
        "jax_numba",
        "jax",
        "cupy",
        "dask",
    ]
    assert seen["unknown"].startswith("no backend is called 'good'; there are: cupy, dask, default")
    assert seen["ran"] == "numpy"


@pytest.mark.parametrize("value", ["true", "no", "2", "", "0 "])
def test_booleans_in_the_environment_are_parsed_strictly(value, tmp_path):
    seen = run(
        """
import json
try:
    import softaxis
except ValueError as error:
    print(json.dumps({"error": str(error)}))
""",
        site=tmp_path,
        SOFTAXIS_THIRD_PARTY=value,
    )
    assert seen["error"] == f"SOFTAXIS_THIRD_PARTY must be 0 or 1, got {value!r}"
