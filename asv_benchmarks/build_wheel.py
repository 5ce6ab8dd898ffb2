"""Build the wheel of any commit for asv: `python build_wheel.py CHECKOUT TARGET`.

The first commits lacked packaging files; where one is missing, today's are put beside the source.
"""

import shutil
import subprocess
import sys
from pathlib import Path

PACKAGING = ("pyproject.toml", "README.md", "LICENSE")
TODAY = Path(__file__).parents[1]


def complete(checkout: Path) -> None:
    """Put today's packaging files into a checkout that lacks any of them."""
    if all((checkout / name).exists() for name in PACKAGING):
        return
    for name in PACKAGING:
        shutil.copy(TODAY / name, checkout / name)


def main(checkout: str, target: str) -> None:
    """Build the wheel into the target folder."""
    complete(Path(checkout))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", target, checkout]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
