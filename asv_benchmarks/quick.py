"""Print what dispatch costs, in a form that a busy machine does not spoil.

python asv_benchmarks/quick.py

Direct and public calls take turns, so that both see the same machine; the smallest of many
short rounds is what the code costs, and the median says how quiet the machine was.
"""

import tempfile
from statistics import median

from benchmarks.dispatch import DIRECT, overheads, prefer_noop
from benchmarks.imports import import_seconds

ROUNDS, IMPORTS = 400, 40


def main() -> None:
    """Print the overhead of each kind of table, and the import."""
    with tempfile.TemporaryDirectory() as folder:
        prefer_noop(folder)
        for function in DIRECT:
            direct, public = overheads(function, ROUNDS)
            differences = [b - a for a, b in zip(direct, public, strict=True)]
            print(
                f"{function:10} overhead of dispatch: {min(public) - min(direct):.3f} us "
                f"(min), {median(differences):.3f} us (median); "
                f"the direct call alone {min(direct):.3f} us"
            )
    import_seconds()
    bare, typing, whole = [], [], []
    for _ in range(IMPORTS):
        bare.append(1e3 * import_seconds("pass"))
        typing.append(1e3 * import_seconds("import typing"))
        whole.append(1e3 * import_seconds())
    beyond = [b - a for a, b in zip(bare, whole, strict=True)]
    print(
        f"import softaxis: {min(beyond):.1f} ms (min), {median(beyond):.1f} ms (median) "
        f"beyond bare Python; `import typing` alone {min(typing):.1f} ms"
    )


if __name__ == "__main__":
    main()
