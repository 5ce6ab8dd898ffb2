"""What the dashboard carries is what asv's own page asks for, byte for byte."""

import base64
import hashlib
import re
from pathlib import Path

import asv
import publish
import pytest

PAGE = (Path(asv.__file__).parent / "www" / "index.html").read_text(encoding="utf-8")
WANTED = re.findall(r'(?:src|href)="(https://[^"]+\.(?:js|css))"\s+integrity="([^"]+)"', PAGE)


def test_asv_still_loads_what_is_carried():
    _, copies = publish.localize(PAGE)
    carried = {path for path in publish.VENDOR.iterdir() if path.suffix != ".md"}
    assert set(copies) == carried
    assert len(WANTED) == len(carried)


@pytest.mark.parametrize(("url", "checksum"), WANTED)
def test_each_copy_has_the_checksum_of_the_original(url, checksum):
    copy = publish.vendored(url)
    if copy.name != url.rpartition("/")[2]:
        assert copy.name.startswith("jquery.flot")  # a source in place of the short file
        return
    kind, _, expected = checksum.partition("-")
    found = hashlib.new(kind, copy.read_bytes()).digest()
    assert base64.b64encode(found).decode() == expected


def test_the_page_keeps_nothing_remote():
    page, _ = publish.localize(PAGE)
    assert not re.search(r'<(?:script|link)[^>]*"https?:', page)
    assert "integrity" not in page
