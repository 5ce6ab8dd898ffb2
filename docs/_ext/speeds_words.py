"""The sentences and tables of docs/performance.md, as Markdown, made from what was recorded."""

from benchmarks.grid import DEFAULT, DTYPES, PEERS, case
from goals import ALL, BETTER, NUMBA, NUMPY
from speeds import (
    MISSING,
    QUIET,
    mean,
    microseconds,
    recording,
    shown,
    speedups,
    times,
)
from tables import table

EXAMPLE = "4096x1024"
SMALL = ("1x10", "8x10", "128x128", "200x150")
NO_BREAK = "\N{NO-BREAK SPACE}"
NAMES = {
    "scipy": "SciPy",
    "torch": "PyTorch",
    "jax": "JAX",
    BETTER: "the faster of PyTorch and JAX",
}
PAIRS = ((NUMBA, "scipy"), (NUMBA, BETTER), (DEFAULT, "scipy"), (DEFAULT, BETTER), (NUMPY, "scipy"))


def gain():
    """Say what one call gains, and all of them on average."""
    found = recording("grid")
    points = {p.case.name: p for p in found.of("softmax", "float32")}
    seconds = points[EXAMPLE].seconds if EXAMPLE in points else {}
    taken = {name: f"{1e3 * value:.3g} ms" for name, value in seconds.items()}
    others = ", ".join(f"{NAMES[name]} {taken.get(name, MISSING)}" for name in PEERS)
    numbers = case(EXAMPLE)
    megabytes = numbers.nbytes("float32") / 1e6
    rows, length = numbers.shape
    return (
        f"The softmax of {rows:,} rows of {length:,} `float32` numbers ({megabytes:.0f} MB) takes "
        f"`softaxis[numba]` **{taken.get(NUMBA, MISSING)}**; {others}; and `softaxis` with nothing "
        f"but NumPy {taken.get(NUMPY, MISSING)}. Over all shapes and dtypes of the grid below, "
        "each library with arrays of its own on the same two cores, `softaxis[numba]` is "
        f"{averages(NUMBA, 'scipy')} as SciPy, and {averages(NUMBA, BETTER)} as {NAMES[BETTER]}."
    )


def averages(ours, against):
    """Name the geometric mean of each function."""
    every = ((function, mean(of_function(function, ours, against).values())) for function in ALL)
    found = [f"**{times(value)}** (`{name}`)" for name, value in every if value is not None]
    return f"{', '.join(found) or MISSING} times as fast"


def of_function(function, ours, against):
    """Return the ratios of one function at every shape and dtype."""
    points = (p for dtype in DTYPES for p in recording("grid").of(function, dtype))
    return speedups(points, ours, against)


def means():
    """Return the geometric mean of each function, and where it is worst."""
    rows = []
    for ours, against in PAIRS:
        cells = []
        for function in ALL:
            found = of_function(function, ours, against)
            worst = min(found, key=found.get, default=None)
            text = shown(mean(found.values()), times)
            if worst is not None:
                text = f"**{text}**; {times(found[worst])} at {worst[1].name} `{worst[2]}`"
            cells.append(text)
        rows.append([f"`{ours}` / {NAMES[against]}", *cells])
    return table(["times as fast", *(f"`{function}`" for function in ALL)], rows)


def small():
    """Return what a call on a small array takes."""
    columns = (DEFAULT, NUMBA, *PEERS)
    rows = []
    for function in ALL:
        points = {p.case.name: p for p in recording("grid").of(function, "float32")}
        for name in SMALL:
            point = points.get(name)
            cells = [f"`{function}`", str(case(name).shape).replace(" ", NO_BREAK)]
            for column in columns:
                absent = point.missing.get(column, MISSING) if point else MISSING
                seconds = point.seconds.get(column) if point else None
                cells.append(absent if seconds is None else microseconds(seconds))
            rows.append(cells)
    heads = [NAMES.get(name, f"`{name}`") for name in columns]
    return table(["microseconds", "shape", *heads], rows)


def provenance():
    """Say of each file on which kind of machine, when and with which versions it was recorded."""
    lines = []
    for name in ("grid", "row_lengths"):
        head = recording(name).head
        if not head:
            lines.append(f"- `{name}.json`: {MISSING}")
            continue
        of = ", ".join(f"{package} {version}" for package, version in head["versions"].items())
        where = f"{head['machine']}, two threads, {head['date']}"
        lines.append(f"- `{name}.json`: {where}; {of}{busy(head)}")
    return "\n".join(lines)


def busy(head):
    """Warn where other processes were at work."""
    others = head.get("others", 0)
    if others < QUIET:
        return ""
    return f". **Other processes took {others:.0%} of the processors: these figures are in doubt.**"


WORDS = {
    "gain": gain,
    "means": means,
    "small": small,
    "provenance": provenance,
}
