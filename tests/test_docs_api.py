"""The reference lists every public name."""

import importlib
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "api" / "index.md"


@pytest.mark.parametrize(
    "name",
    [
        "softaxis",
        "softaxis.backend",
        "softaxis.compat.scipy",
        "softaxis.testing",
        pytest.param("softaxis.torch.nn", marks=pytest.mark.needs_package("torch")),
    ],
)
def test_every_public_name_has_its_page(name):
    module = importlib.import_module(name)
    listed = {}
    current = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if found := re.match(r"\.\. (?:currentmodule|automodule):: (\S+)", line):
            current = found[1]
        elif found := re.fullmatch(r"   ([A-Za-z_]\w*)", line):
            listed.setdefault(current, set()).add(found[1])
    assert listed[name] == {public for public in module.__all__ if public[0] != "_"}
