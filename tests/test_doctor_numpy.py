"""`softaxis.testing.doctor` and the command: whatever a backend does, it is found and survived."""

import json
import os
import re
import subprocess
import sys
import time

import pytest
from distributions import entry_points

import softaxis
from softaxis._cli._main import main
from softaxis._dispatch import _registry
from softaxis.testing._diagnosis import Diagnosis, read
from softaxis.testing._doctor import doctor

RIGHT = """
import numpy as np
from softaxis import get_backend
from softaxis.backend import Backend
backend = Backend(__name__, types=(np.ndarray,))
backend.implements(name="sigmoid", dtypes=("float32",))(lambda x, /: right.sigmoid(x))
right = get_backend("default")
"""

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX ends processes by signals")


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install backends, given as the source code of a module each, for one array package."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(package="numpy", **modules):
        info = tmp_path / f"{'_'.join(modules)}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {info.stem[:-4]}\n")
        names = {name: f"{name}:backend" for name in modules}
        (info / "entry_points.txt").write_text(
            entry_points({f"softaxis.backends.{package}": names})
        )
        for name, code in modules.items():
            (tmp_path / f"{name}.py").write_text(code)
        monkeypatch.setattr(_registry, "_scanned", [])

    return install


@pytest.fixture
def diagnose(install):
    """Install one backend with this code and return what the doctor finds."""

    def diagnose(code, **limits):
        install(patient=code)
        [found] = doctor(["patient"], **limits)
        assert "patient" not in sys.modules
        return found

    return diagnose


def test_a_right_backend_is_healthy(diagnose):
    found = diagnose(RIGHT)
    assert (found.state, found.reason) == ("healthy", "")
    assert found.healthy
    assert found.passed > 2
    assert 0 < found.library_seconds < found.seconds
    assert 0 < found.import_seconds < found.seconds
    assert (found.devices, found.accelerators) == (("cpu",), ())


@pytest.mark.parametrize(
    ("code", "state", "reason"),
    [
        ("raise KeyboardInterrupt", "broken import", "KeyboardInterrupt, importing backend"),
        ("raise SystemExit('no licence')", "broken import", "SystemExit: no licence, importing"),
        ("import no_such_driver", "broken import", "No module named 'no_such_driver'"),
        ("backend = 3", "broken import", "expected a softaxis.backend.Backend, got int"),
        ("import os; os._exit(0)", "crash", "exit status 0, importing backend 'patient'"),
        ("import os; os._exit(3)", "crash", "exit status 3, importing backend 'patient'"),
        ("import os; os.closerange(0, 99); os._exit(5)", "crash", "exit status 5, importing"),
        pytest.param("import os; os.abort()", "crash", "ended by SIGABRT", marks=posix_only),
        pytest.param(
            "import os; os.kill(os.getpid(), 9)",
            "crash",
            "SIGKILL (out of memory?)",
            marks=posix_only,
        ),
    ],
)
def test_an_import_that_goes_wrong(diagnose, code, state, reason):
    found = diagnose(code)
    assert found.state == state
    assert reason in found.reason
    assert not found.healthy
    assert found.library_seconds > 0
    assert found.import_seconds is None


def test_the_line_that_raised_is_named(diagnose):
    found = diagnose("def load():\n    raise OSError('driver')\n\nload()")
    assert found.reason == "OSError: driver, importing backend 'patient'"
    assert [line.rpartition(os.sep)[2] for line in found.stack] == [
        "patient.py:2 in load",
        "patient.py:4 in <module>",
    ]


def test_a_segmentation_fault_is_told_with_the_line_and_the_last_words(diagnose):
    found = diagnose(
        "import ctypes, sys\nprint('so far so good', file=sys.stderr)\nctypes.string_at(0)"
    )
    assert found.state == "crash"
    assert found.output[-1:] == ("so far so good",)
    assert found.stack[-1].endswith("patient.py:3 in <module>")


@pytest.mark.parametrize("busy", ["pass", "time.sleep(1)", "print('x' * 9999, file=sys.stderr)"])
def test_a_hang_is_ended(diagnose, busy):
    begin = time.monotonic()
    found = diagnose(f"import sys, time\nwhile True:\n    {busy}", timeout=1.5)
    assert time.monotonic() - begin < 10
    assert found.state == "hang"
    assert re.fullmatch(r"no end after [\d.]+ s, importing backend 'patient'", found.reason)
    assert "patient.py:" in found.stack[-1]
    assert sum(map(len, found.output)) < 10_000


def test_what_a_backend_prints_and_closes_is_no_matter(diagnose):
    noise = "import os; print('{\"stage\": 7}\\n\\0', end=''); os.closerange(0, 3)"
    found = diagnose(RIGHT + noise)
    assert (found.state, found.reason) == ("healthy", "")


@posix_only
def test_processes_that_a_backend_leaves_behind_are_ended(diagnose, tmp_path):
    heart = tmp_path / "heart"
    beat = f"import time\nwhile True:\n    open({str(heart)!r}, 'a').write('.'); time.sleep(0.01)"
    wait = f"import os, time\nwhile not os.path.exists({str(heart)!r}): time.sleep(0.01)"
    start = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {beat!r}])"
    found = diagnose(f"{start}\n{wait}\nos._exit(1)")
    assert found.reason.startswith("the process ended with exit status 1")
    size = heart.stat().st_size
    time.sleep(0.3)
    assert heart.stat().st_size == size


def test_a_process_that_does_not_end_when_its_work_is_done_hangs(diagnose):
    thread = "import threading, time; threading.Thread(target=time.sleep, args=[99]).start()"
    found = diagnose(RIGHT + thread, timeout=5)
    assert found.state == "hang"
    assert found.reason.endswith("when all was done and the process was to end")


def test_no_further_check_is_begun_when_the_time_is_nearly_up(diagnose):
    slow = RIGHT + (
        "import time\n"
        "loaded = time.monotonic()\n"
        "@backend.implements(dtypes=('float32',))\n"
        "def sigmoid(x, /):\n"
        "    time.sleep(max(0, loaded + 2.5 - time.monotonic()))\n"
        "    return right.sigmoid(x)\n"
    )
    found = diagnose(slow, timeout=3)
    assert (found.state, found.passed) == ("unfinished", 1)
    assert found.reason == "the time was up before the last check"
    assert found.healthy


def test_an_array_library_that_cannot_be_imported_is_told_from_its_backend(install, tmp_path):
    install(package="shaky", patient=RIGHT)
    (tmp_path / "shaky.py").write_text("raise ImportError('built for another Python')")
    [found] = doctor(["patient"])
    assert found.state == "broken import"
    assert found.reason == "ImportError: built for another Python, importing shaky"


def test_a_missing_array_library_is_no_fault(install):
    install(package="no_such_library", patient="raise AssertionError")
    [found] = doctor(["patient"])
    assert (found.state, found.reason) == ("missing", "no_such_library is not installed")
    assert found.healthy


def test_a_blocked_backend_is_left_alone(install):
    install(patient="raise AssertionError")
    with softaxis.backend_opts(disable="patient"):
        [found] = doctor(["patient"])
    assert (found.state, found.reason) == ("blocked", "disabled in code")
    assert found.healthy


def test_a_device_that_is_no_cpu_is_an_accelerator():
    devices = ("cpu", "TFRT_CPU_0", "cuda:0 (NVIDIA H200)", "mps")
    found = Diagnosis("torch", "torch", "softaxis", "healthy", devices=devices)
    assert found.accelerators == ("cuda:0 (NVIDIA H200)", "mps")


def test_a_line_that_was_cut_off_is_passed_over(tmp_path):
    (tmp_path / "record").write_text('{"stage": "library"}\n{"stage": "library", "seco')
    assert read(tmp_path).stage == "library"
    assert read(tmp_path).seconds == {}


def test_each_backend_once_and_in_the_order_asked_for(install):
    install(one="import os; os._exit(1)", two="import os; os._exit(2)")
    found = doctor(["two", "one", "two"])
    assert [(one.name, one.reason[:38]) for one in found] == [
        ("two", "the process ended with exit status 2, "[:38]),
        ("one", "the process ended with exit status 1, "[:38]),
    ]


@pytest.mark.parametrize("limit", ["timeout", "import_limit"])
@pytest.mark.parametrize("value", [0, -1.0, float("nan")])
def test_limits_are_positive(limit, value):
    with pytest.raises(ValueError, match=rf"`{limit}` must be a positive number of seconds, got"):
        doctor([], **{limit: value})


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(
        ValueError, match="no backend is called 'nobody'; there are: default, numba, numpy"
    ):
        doctor(["nobody"])


def test_no_array_library_is_imported_before_its_time_is_taken():
    code = "import sys, softaxis.testing._examination; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_command_is_red_for_a_fault_and_shows_it_whole(install, capsys):
    install(well=RIGHT, ill="x = 1\nraise OSError('driver')")
    assert main(["doctor", "well", "ill"]) == 1
    page = capsys.readouterr().out
    assert ": 1 fault\n" in page
    assert "ill: broken import\n" in page
    assert "OSError: driver, importing backend 'ill'" in page
    assert "ill.py:2 in <module>\n" in page
    assert "well: " not in page


def test_the_command_is_green_without_a_fault(install, capsys):
    install(package="no_such_library", patient="")
    assert main(["doctor", "patient"]) == 0
    page = capsys.readouterr().out
    assert ": no faults\n" in page
    assert "no_such_library is not installed" in " ".join(page.split())


@pytest.mark.parametrize("to_file", [True, False])
def test_json_of_the_command(install, capsys, tmp_path, to_file):
    install(patient="import os; os._exit(4)")
    file = tmp_path / "report.json"
    assert main(["doctor", "patient", "--json", str(file) if to_file else "-"]) == 1
    printed = capsys.readouterr().out
    report = json.loads(file.read_text() if to_file else printed)
    assert report["softaxis"] == softaxis.__version__
    [found] = report["backends"]
    assert {name: found[name] for name in ("name", "state", "healthy", "accelerators")} == {
        "name": "patient",
        "state": "crash",
        "healthy": False,
        "accelerators": [],
    }
    assert ("patient: crash" in printed) == to_file


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody"], "no backend is called 'nobody'"),
        (["--timeout", "0"], "`timeout` must be a positive number of seconds, got 0.0"),
        (["--json", "no_such_folder/x.json"], "`--json` cannot write"),
    ],
)
def test_what_the_command_refuses(capsys, arguments, message):
    assert main(["doctor", *arguments]) == 2
    assert message in capsys.readouterr().err
