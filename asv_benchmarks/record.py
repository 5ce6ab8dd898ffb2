"""Record commits with asv under the name of this class of machine, or compare two: `nox -s asv`.

python asv_benchmarks/record.py [--all-parameters] [COMMIT ...]
python asv_benchmarks/record.py --against BASE [--report FILE]
"""

import argparse
import subprocess
import sys
from pathlib import Path

from machine import asv_machine, warning

FOLDER = Path(__file__).parent
FOLLOWED = (
    r"(normalizers|reductions|losses)\..*'(8x10|4096x1024)', 'float32'",
    r"accuracy\..*'peaked', 'float32'",
    r"memory\..*'(softmax|logsumexp)', '4096x1024'",
    r"imports\.(Import|FirstCall.*'softmax'\))",
    r"dispatch\.",
)
"""The parameters that are recorded of every commit, in about two minutes."""
OURS = (
    r"(normalizers|reductions|losses)\..*'softaxis(\[numba\])?', '(8x10|4096x1024)', 'float32'",
    r"accuracy\..*'softaxis(\[numba\])?'.*'peaked', 'float32'",
    r"memory\..*'softaxis(\[numba\])?', '(softmax|logsumexp)', '4096x1024'",
    r"dispatch\.",
)
"""Those of a comparison of two commits, between which the others do not change."""
FACTOR = "1.5"
"""How much worse is worth a word; the machines of CI are noisy."""


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("commits", nargs="*", default=["HEAD"], metavar="COMMIT")
    parser.add_argument("--all-parameters", action="store_true", help="measure all of them")
    parser.add_argument("--against", metavar="BASE", help="compare HEAD with BASE instead")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the comparison there")
    return parser.parse_args()


def asv(*arguments: str, check: bool = True) -> None:
    """Run a command of asv in this folder."""
    subprocess.run([sys.executable, "-m", "asv", *arguments], cwd=FOLDER, check=check)


def comparison(base: str, machine: str) -> str:
    """Measure both commits and return asv's tables of what changed."""
    given = [f"--machine={machine}", f"--factor={FACTOR}"]
    asv("continuous", *given, *(f"--bench={some}" for some in OURS), base, "HEAD", check=False)
    command = ["compare", *given, "--only-changed", "--split", "--sort=ratio", base, "HEAD"]
    done = subprocess.run(
        [sys.executable, "-m", "asv", *command],
        cwd=FOLDER,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip() or f"Nothing changed by more than a factor of {FACTOR}."


def main() -> None:
    """Describe the machine, then record one commit after the other, or compare."""
    options = parse()
    print(warning(), end="", flush=True)
    machine = asv_machine()
    asv("machine", *(f"--{field}={value}" for field, value in machine.items()))
    if options.against:
        found = comparison(options.against, machine["machine"])
        print(found)
        if options.report:
            options.report.parent.mkdir(parents=True, exist_ok=True)
            options.report.write_text(found + "\n", encoding="utf-8")
        return
    followed = [] if options.all_parameters else [f"--bench={some}" for some in FOLLOWED]
    for commit in options.commits:
        asv("run", f"--machine={machine['machine']}", "--show-stderr", *followed, f"{commit}^!")


if __name__ == "__main__":
    main()
