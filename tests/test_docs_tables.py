"""The table of libraries in the README, and the measured errors, are of what the records say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import softaxis

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "docs" / "_ext" / "tables.py"


def rows(text):
    """Return the rows of the first table of libraries in a text, by their first cell."""
    lines = text[text.index("| arrays of |") :].split("\n\n")[0].strip().splitlines()
    return {line.split("|")[1].strip(): line for line in lines}


@pytest.fixture(scope="module")
def made():
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=True)
    return rows(done.stdout)


@pytest.fixture(scope="module")
def written():
    return rows((ROOT / "README.md").read_text(encoding="utf-8"))


def test_the_readme_lists_the_libraries_in_the_same_order(made, written):
    assert list(written) == list(made)


def test_the_readme_says_what_the_records_say(made, written):
    # where an array library is not installed its backend has no records; its own session has them
    known = {name: row for name, row in made.items() if "not installed here" not in row}
    assert "NumPy" in known
    assert {name: written[name] for name in known} == known


def test_errors_were_measured_of_every_function():
    """Or the page about backends says plainly that they were not."""
    text = (ROOT / "docs" / "measured.json").read_text(encoding="utf-8")
    measured = {one["backend"]: set(one["worst"]) for one in json.loads(text)["reports"]}
    ours = [one for one in softaxis.list_backends(load=True) if one.origin == "softaxis"]
    have = {one.name: set(one.functions) for one in ours if one.functions}
    page = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8")
    for name in {"cupy", "torch_triton"} & (have.keys() - measured.keys()):
        section = page[page.index(f"## {name},") :].split("\n## ")[0]
        assert "**not measured**" in section
        del have[name]
    assert have
    assert {name: measured.get(name) for name in have} == have
