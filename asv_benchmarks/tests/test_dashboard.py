"""The published dashboard, in a browser without a network, draws curves and switches them."""

import json

import pytest

COMMITS = 10
GRAPH = "#normalizers.Softmax.track_softmax?p-case='4096x1024'&p-dtype='float32'"
CURVES = "$('#main-graph').data('plot').getData().map(s => [s.label, s.data])"
COLOURS = """() => {
    const canvas = document.querySelector('#main-graph canvas.flot-base');
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    const found = new Set();
    for (let i = 0; i < pixels.length; i += 4)
        if (pixels[i + 3] && !(pixels[i] === pixels[i + 1] && pixels[i] === pixels[i + 2]))
            found.add(pixels.slice(i, i + 3).join());
    return found.size;
}"""
PANEL = "#graphdisplay-navigation-params .panel:has(.panel-heading:text-is('implementation'))"


def graph(page, address, *implementations):
    """Open the graph of softmax for these implementations; return its curves by their labels."""
    chosen = "".join(f"&p-implementation='{name}'" for name in implementations)
    open_graph(page, address + GRAPH + chosen)
    return curves(page)


def open_graph(page, address):
    """Open a graph, and wait for the curves of all machines, which come one after the other."""
    page.goto(address)
    page.wait_for_load_state("networkidle")
    page.wait_for_function("() => $('#main-graph').data('plot') !== undefined")


def curves(page):
    """Return the points of every curve by its implementation: of several machines, the longest."""
    found = {}
    for label, points in page.evaluate(CURVES):
        name = label.rpartition("implementation-")[2].partition(";")[0]
        known = [point for point in points if point[1] is not None]
        found[name] = max(found.get(name, []), known, key=len)
    return found


def drawing(page):
    """Return the picture of the graph."""
    return page.evaluate("document.querySelector('#main-graph canvas.flot-base').toDataURL()")


def switch(page, implementation):
    """Click on an implementation in the navigation, and wait until the graph has changed."""
    before = json.dumps(curves(page))
    page.locator(f"{PANEL} a", has_text=implementation).first.click()
    page.wait_for_function(f"before => JSON.stringify({CURVES}) !== before", arg=before)


def test_the_first_page_shows_every_benchmark(page, address):
    page.goto(address)
    page.wait_for_selector("#summarygrid-display >> text=track_logsumexp")
    shown = page.inner_text("#summarygrid-display")
    for name in ("softmax", "log_softmax", "cross_entropy", "max_eps", "peak_above", "overhead"):
        assert f"track_{name}" in shown


def test_a_curve_of_ten_commits_is_drawn(page, address):
    found = graph(page, address, "softaxis", "scipy")
    assert set(found) == {"softaxis", "scipy"}
    assert all(len(points) >= COMMITS for points in found.values())
    assert page.evaluate(COLOURS) > 2


def test_switching_the_implementation_changes_the_curve(page, address):
    before = graph(page, address, "softaxis")
    picture = drawing(page)
    switch(page, "scipy")
    after = curves(page)
    assert set(before) == {"softaxis"}
    assert set(after) == {"softaxis", "scipy"}
    assert after["softaxis"] == before["softaxis"]
    assert after["scipy"] != after["softaxis"]
    assert drawing(page) != picture


@pytest.mark.parametrize("peer", ["scipy", "torch", "jax"])
def test_peers_are_beside_softaxis_in_the_graph_it_opens_on(page, address, peer):
    open_graph(page, address + "#normalizers.Softmax.track_softmax")
    found = curves(page)
    assert len(found[peer]) >= COMMITS
    assert len(found["softaxis"]) >= COMMITS
