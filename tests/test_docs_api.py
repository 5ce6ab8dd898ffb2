"""The reference lists every public name."""

import re
from pathlib import Path

import pytest

import softaxis
import softaxis.backend
import softaxis.compat.scipy

PAGE = Path(__file__).parents[1] / "docs" / "api" / "index.md"


@pytest.mark.parametrize(
    "module", [softaxis, softaxis.backend, softaxis.compat.scipy], ids=lambda m: m.__name__
)
def test_every_public_name_has_its_page(module):
    listed = {}
    name = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if found := re.match(r"\.\. (?:currentmodule|automodule):: (\S+)", line):
            name = found[1]
        elif found := re.fullmatch(r"   ([A-Za-z_]\w*)", line):
            listed.setdefault(name, set()).add(found[1])
    assert listed[module.__name__] == {name for name in module.__all__ if name[0] != "_"}
