"""Two directives: `recorded`, words and tables of speed, and `recorded-figure`, for all screens."""

from pathlib import Path

import figures_heat
import figures_speeds
import speeds_takeover
import speeds_words
from docutils import nodes
from drawing import MODES, save
from figures_speeds import NARROW, WIDE
from softaxis_docs import FOLDER
from sphinx.util.docutils import SphinxDirective

WORDS = speeds_words.WORDS | speeds_takeover.WORDS
DRAWINGS = {
    f"{name}-{layout}": figure(layout)
    for layout in (WIDE, NARROW)
    for name, figure in (figures_speeds.FIGURES | figures_heat.FIGURES).items()
}


class Recorded(SphinxDirective):
    """Show the sentences or the table of that name."""

    required_arguments = 1

    def run(self):
        self.env.note_reread()
        return self.parse_text_to_nodes(WORDS[self.arguments[0]]())


class RecordedFigure(SphinxDirective):
    """Show the figure of that name; the content says in words what is to be seen."""

    required_arguments = 1
    has_content = True

    def run(self):
        (name,) = self.arguments
        alt = " ".join(self.content)
        pictures = []
        for layout in (WIDE, NARROW):
            for mode in MODES:
                picture = nodes.image(uri=f"/{FOLDER}/{name}-{layout}-{mode}.svg", alt=alt)
                picture["classes"] = [f"only-{mode}", "drawn", layout]
                pictures.append(picture)
        return pictures


def draw_all(app):
    """Draw every figure once for each mode and width."""
    folder = Path(app.srcdir, FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in DRAWINGS.items():
        for mode in MODES:
            save(draw, mode, folder / f"{name}-{mode}.svg")


def setup(app):
    app.add_directive("recorded", Recorded)
    app.add_directive("recorded-figure", RecordedFigure)
    app.add_css_file("performance.css")
    app.connect("builder-inited", draw_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
