"""The README shows what the command line prints, and links to what there is."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SESSIONS = re.findall(r"```console\n\$ python (.+?)\n(.*?)```", README, flags=re.DOTALL)
PLAIN = {k: v for k, v in os.environ.items() if k != "FORCE_COLOR"} | {
    "COLUMNS": "80",
    "NO_COLOR": "1",
    "PYTHONIOENCODING": "utf-8",
}
LINKS = re.findall(r"\]\((?!https:)([^)#]+)", README)


def test_there_is_something_to_check():
    assert SESSIONS
    assert LINKS


@pytest.mark.parametrize(("command", "shown"), SESSIONS, ids=[each[0] for each in SESSIONS])
def test_commands_print_what_is_shown(command, shown):
    done = subprocess.run(
        [sys.executable, *shlex.split(command)],
        capture_output=True,
        check=True,
        encoding="utf-8",
        env=PLAIN,
    )
    start, _, rest = shown.partition("...\n")
    assert rest == ""
    assert done.stdout.startswith(start)


@pytest.mark.parametrize("path", sorted(set(LINKS)))
def test_links_lead_somewhere(path):
    assert (ROOT / path).exists()
