"""A pytest plugin that executes the Python code blocks of Markdown files.

The blocks of one file share their names, as a reader expects who follows it from top to bottom.
Blocks written as a session (`>>>`) are compared with their output; numbers to the digits written.
`<!-- skip: next -->` before a block leaves it out.
"""

from doctest import ELLIPSIS, NORMALIZE_WHITESPACE
from pathlib import Path

from sybil import Sybil
from sybil.evaluators.doctest import NUMBER
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser

pytest_collect_file = Sybil(
    path=str(Path(__file__).parents[1]),
    parsers=[
        PythonCodeBlockParser(doctest_optionflags=ELLIPSIS | NORMALIZE_WHITESPACE | NUMBER),
        SkipParser(),
    ],
    patterns=["*.md"],
).pytest()
