"""The sessions of the README show what happens."""

import doctest
import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_sessions_run_as_shown():
    sessions = re.findall(r"```pycon\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(sessions) == 2
    test = doctest.DocTestParser().get_doctest("".join(sessions), {}, "README.md", None, 0)
    assert doctest.DocTestRunner().run(test) == (0, 9)
