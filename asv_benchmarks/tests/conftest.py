"""The published dashboard on a local web server, and a Chromium that reaches nothing else."""

import functools
import http.server
import shutil
import sys
import threading
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1]
sys.path.insert(0, str(FOLDER))

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
NO_NETWORK = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def address():
    """Serve the folder that `publish.py` wrote."""
    folder = FOLDER / ".asv" / "html"
    assert (folder / "index.html").exists(), "publish first: python asv_benchmarks/publish.py"
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="session")
def browser():
    """Start Chromium without a network."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"NOT RUN: there is no browser here ({', '.join(BROWSERS)})")
    sync_api = pytest.importorskip("playwright.sync_api", reason="NOT RUN: no Playwright here")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", NO_NETWORK]
        )
        yield started
        started.close()


@pytest.fixture
def page(browser):
    """Open a page; at the end nothing on it may have failed or looked beyond the local server."""
    opened = browser.new_page(viewport={"width": 1400, "height": 900})
    remote, failed = [], []
    opened.on("request", lambda r: remote.append(r.url) if "//127.0.0.1:" not in r.url else None)
    opened.on("requestfailed", lambda r: failed.append(r.url))
    opened.on("pageerror", lambda error: failed.append(str(error)))
    yield opened
    opened.close()
    assert remote == []
    assert failed == []
