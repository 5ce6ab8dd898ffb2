"""Blocks of a page, and how they become lines of styled text for a terminal of any width."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Span = tuple[str, str]  # text, style
Line = list[Span]

INDENT = "   "
EIGHTHS = " ▏▎▍▌▋▊▉█"
LONGEST_BAR = 48


@dataclass(frozen=True)
class Heading:
    """Title of a section, underlined."""

    text: str


@dataclass(frozen=True)
class Step:
    """One numbered sentence."""

    number: int
    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph, indented."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Row:
    """A label and its numbers; the columns of all rows on a page line up."""

    label: str
    values: tuple[str, ...]
    style: str = "value"


@dataclass(frozen=True)
class Table:
    """Columns of text; `bars` puts one bar a row behind the column `bars_after`."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    footer: tuple[str, ...] = ()
    bars: tuple[float, ...] = ()
    bars_after: int = 0
    strong: int = -1  # the row to stress
    align: str = ""  # "<" or ">" a column, else ">" for all; a last "<" column wraps


Block = Heading | Step | Text | Row | Table


def lay_out(blocks: Sequence[Block], width: int, *, ascii_only: bool = False) -> Iterator[Line]:
    """Yield the lines of a page."""
    rows = [block for block in blocks if isinstance(block, Row)]
    label = max((len(row.label) for row in rows), default=0)
    cell = max((len(value) for row in rows for value in row.values), default=0)
    for place, block in enumerate(blocks):
        if place and not _belongs(block, blocks[place - 1]):
            yield []
        match block:
            case Heading(text):
                yield [(text, "heading")]
                yield [(("-" if ascii_only else "─") * min(len(text), width), "rule")]
            case Step(number, text):
                yield from _paragraph(text, width, "step", f"{number:<{len(INDENT)}}")
            case Text(text, style):
                yield from _paragraph(text, width, style, INDENT)
            case Row():
                yield from _row(block, width, label, cell)
            case Table():
                yield from _table(block, width, ascii_only)


def _belongs(block: Block, before: Block) -> bool:
    """Say whether no empty line comes between two blocks."""
    if isinstance(before, Heading):
        return not isinstance(block, Heading)
    return isinstance(block, Row | Text) and isinstance(before, Step | Row)


def bar(fraction: float, length: int, ascii_only: bool) -> str:
    """Draw a bar of `length` cells for 1; whatever is not 0 leaves a mark."""
    if ascii_only:
        return "#" * max(round(fraction * length), int(fraction > 0))
    full, rest = divmod(max(round(fraction * length * 8), int(fraction > 0)), 8)
    return "█" * full + EIGHTHS[rest].strip()


def _paragraph(text: str, width: int, style: str, first: str) -> Iterator[Line]:
    indent = " " * len(first)
    for number, line in enumerate(textwrap.wrap(text, max(width - len(first), 20))):
        spaced = line.replace("\N{NO-BREAK SPACE}", " ")
        yield [(indent if number else first, "step"), (spaced, style)]


def _row(row: Row, width: int, label: int, cell: int) -> Iterator[Line]:
    room = width - len(INDENT) - label
    per_line = max(room // (cell + 2), 1)
    for start in range(0, len(row.values), per_line):
        name = row.label if start == 0 else ""
        cells = "".join(f"  {value:>{cell}}" for value in row.values[start : start + per_line])
        yield [(f"{INDENT}{name:<{label}}", "label"), (cells, row.style)]


def _table(table: Table, width: int, ascii_only: bool) -> Iterator[Line]:
    body = [table.header, *table.rows, *([table.footer] if table.footer else [])]
    widths = [max(map(len, column)) for column in zip(*body, strict=True)]
    align = table.align or ">" * len(widths)
    if align[-1] == "<":
        taken = len(INDENT) + sum(widths[:-1]) + 2 * len(widths)
        widths[-1] = min(widths[-1], max(width - taken, 20))
    room = width - len(INDENT) - sum(widths) - 2 * len(widths)
    length = max(min(room, LONGEST_BAR), 4) if table.bars else 0
    for number, cells in enumerate(body, start=-1):
        style = "value" if 0 <= number < len(table.rows) else "label"
        style = "strong" if number == table.strong >= 0 else style
        for start, parts in enumerate(_wrapped(cells, widths[-1])):
            line: Line = [(INDENT, "")]
            for column, text in enumerate(parts):
                line.append((f"{text:{align[column]}{widths[column]}}  ", style))
                if table.bars and column == table.bars_after:
                    shown = start == 0 and 0 <= number < len(table.bars)
                    drawn = bar(table.bars[number], length, ascii_only) if shown else ""
                    line.append((f"{drawn:<{length}}  ", "bar"))
            yield line


def _wrapped(cells: Sequence[str], width: int) -> Iterator[Sequence[str]]:
    first, *more = textwrap.wrap(cells[-1], width) or [""]
    yield [*cells[:-1], first]
    for text in more:
        yield [*("" for _ in cells[:-1]), text]
