"""The backend of the documentation, installed, used and tested as its page says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from softaxis.backend import Capability

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "writing-a-backend.md").read_text(encoding="utf-8")
PLUGIN = ROOT / "plugins" / "softaxis-example" / "src" / "softaxis_example"


def blocks(language):
    """Return the code blocks of a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


DRAFT, ARRAYS = blocks("python")
FIX, CLAIM, *_ = blocks("py")
(SESSION,) = blocks("pycon")
FAILED, PASSED = (block.partition("\n")[2] for block in blocks("console") if block[0] == "$")


@pytest.fixture
def site(tmp_path):
    """A folder on the path that holds the module and what an installer makes of its metadata."""
    (tmp_path / "fewer_passes.py").write_text(DRAFT)
    group, name, entry = re.search(
        r'\[project\.entry-points\."(.+?)"\]\n(\w+) = "(.+)"', blocks("toml")[0]
    ).groups()
    folder = tmp_path / "fewer_passes-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: fewer-passes\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[{group}]\n{name} = {entry}\n")
    return tmp_path


def python(site, *arguments):
    """Run Python with the folder on its path, and no terminal."""
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    plain = {"COLUMNS": "100", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8", "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        capture_output=True,
        check=False,
        encoding="utf-8",
        env={k: v for k, v in os.environ.items() if k != "FORCE_COLOR"} | plain,
    )


def is_shown(printed, shown):
    """Compare all but spaces; a line of three dots stands for any lines."""
    dots = re.compile(r"^\.\.\.$", flags=re.MULTILINE)
    parts = [re.escape(" ".join(part.split())) for part in dots.split(shown)]
    return re.fullmatch(" ?.*".join(parts), " ".join(printed.split()))


def test_the_session_runs_as_shown(site):
    (site / "session.txt").write_text(SESSION)
    done = python(site, "doctest", str(site / "session.txt"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_kit_finds_what_is_shown(site):
    done = python(site, "softaxis", "test", "fewer_passes")
    assert done.returncode == 1, done.stderr
    assert is_shown(done.stdout, FAILED), done.stdout


def test_the_line_that_is_shown_repairs_it(site):
    old = next(line for line in DRAFT.splitlines(keepends=True) if "e /= " in line)
    (site / "fewer_passes.py").write_text(DRAFT.replace(old, FIX))
    done = python(site, "softaxis", "test", "fewer_passes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert is_shown(done.stdout, PASSED), done.stdout


def test_every_field_of_the_record_is_in_the_table():
    assert re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE) == list(Capability._fields)


def test_what_is_shown_of_the_example_is_in_it():
    assert (PLUGIN / "testing.py").read_text(encoding="utf-8") == ARRAYS
    assert CLAIM in (PLUGIN / "__init__.py").read_text(encoding="utf-8")
