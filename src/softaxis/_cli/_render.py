"""Printing a page: in colour by rich where that is installed and a person looks, else plainly."""

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import TextIO

from softaxis._cli._layout import EIGHTHS, Block, Line, lay_out

STYLES = {
    "heading": "bold",
    "rule": "bright_blue",
    "step": "",
    "label": "dim",
    "value": "cyan",
    "strong": "bold yellow",
    "bar": "bright_blue",
    "warn": "red",
}


def show(blocks: Sequence[Block]) -> None:
    """Write the page to stdout."""
    out = sys.stdout
    width = max(shutil.get_terminal_size().columns, 40)
    lines = lay_out(blocks, width, ascii_only=not _can_draw(out))
    if out.isatty() and find_spec("rich"):
        _show_rich(lines)
    else:
        for line in lines:
            print("".join(text for text, _ in line).rstrip())


def _show_rich(lines: Iterable[Line]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        page = Text.assemble(*((text, STYLES.get(style, style)) for text, style in line))
        page.rstrip()
        console.print(page)


def _can_draw(out: TextIO) -> bool:
    try:
        f"─{EIGHTHS}".encode(out.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return os.environ.get("TERM") != "dumb"
