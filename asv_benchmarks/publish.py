"""Publish what is recorded as pages that need no network: `nox -s dashboard`.

asv's own page loads its scripts and one style from content delivery networks. Copies of them lie
in `vendor`, with their origins and licences; they go into the published folder, and the page is
made to load them from there.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
VENDOR = FOLDER / "vendor"
HTML = FOLDER / ".asv" / "html"

REMOTE = re.compile(r'(?P<name>src|href)="(?P<url>https://[^"]+\.(?:js|css))"(?P<rest>[^>]*)>')
CHECKED = re.compile(r'\s(?:integrity|crossorigin|referrerpolicy)="[^"]*"')


def vendored(url: str) -> Path:
    """Return our copy of what a page loads; Flot's are the sources that the short ones are from."""
    name = url.rpartition("/")[2]
    for copy in (VENDOR / name, VENDOR / name.replace(".min.", ".")):
        if copy.exists():
            return copy
    raise FileNotFoundError(
        f"asv's page loads {url}, of which asv_benchmarks/vendor holds no copy: add one, or "
        "publish with the version of asv that pyproject.toml names"
    )


def localize(page: str) -> tuple[str, list[Path]]:
    """Return a page that loads our copies, and these."""
    copies: list[Path] = []

    def local(match: re.Match[str]) -> str:
        copies.append(vendored(match["url"]))
        return f'{match["name"]}="vendor/{copies[-1].name}"{CHECKED.sub("", match["rest"])}>'

    return REMOTE.sub(local, page), copies


def main() -> None:
    """Let asv publish, then let the page carry what it loads."""
    subprocess.run([sys.executable, "-m", "asv", "publish"], cwd=FOLDER, check=True)
    index = HTML / "index.html"
    page, copies = localize(index.read_text(encoding="utf-8"))
    index.write_text(page, encoding="utf-8")
    shutil.rmtree(HTML / "vendor", ignore_errors=True)
    (HTML / "vendor").mkdir()
    for copy in [*copies, VENDOR / "README.md"]:
        shutil.copy(copy, HTML / "vendor")
    print(f"published: python -m http.server --directory {HTML.relative_to(FOLDER.parent)}")


if __name__ == "__main__":
    main()
