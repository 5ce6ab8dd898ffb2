"""The backend of the documentation, installed and used as its page says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "backends.md"


def block(language, after):
    """Return the first code block of a language after a text."""
    text = PAGE.read_text(encoding="utf-8")
    text = text[text.index(after) :]
    return re.search(rf"```{language}\n(.*?)```", text, flags=re.DOTALL).group(1)


@pytest.fixture
def site(tmp_path):
    """A folder on the path that holds the module and what an installer makes of its metadata."""
    (tmp_path / "fewer_passes.py").write_text(block("python", "`fewer_passes.py`"))
    metadata = block("toml", "`fewer_passes.py`")
    group, name, entry = re.search(
        r'\[project\.entry-points\."(.+?)"\]\n(\w+) = "(.+)"', metadata
    ).groups()
    folder = tmp_path / "fewer_passes-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: fewer-passes\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[{group}]\n{name} = {entry}\n")
    return tmp_path


def test_the_session_runs_as_shown(site):
    session = block("pycon", "`fewer_passes.py`")
    assert ">>>" in session
    transcript = site / "session.txt"
    transcript.write_text(session)
    script = (
        f"import doctest, sys; sys.path.insert(0, {str(site)!r});"
        f"sys.exit(doctest.testfile({str(transcript)!r}, module_relative=False).failed)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
