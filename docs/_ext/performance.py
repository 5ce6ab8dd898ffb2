"""Two directives: `recorded`, words and tables of speed, and `recorded-figure`, for all screens."""

import figures_heat
import figures_speeds
import speeds_takeover
import speeds_words
from docutils import nodes
from drawing import MODES
from figures_speeds import NARROW, WIDE
from softaxis_docs import FOLDER, GeneratedTable, drawer
from sphinx.util.docutils import SphinxDirective

DRAWINGS = {
    f"{name}-{layout}": figure(layout)
    for layout in (WIDE, NARROW)
    for name, figure in (figures_speeds.FIGURES | figures_heat.FIGURES).items()
}


class Recorded(GeneratedTable):
    """Show the sentences or the table of that name."""

    texts = speeds_words.WORDS | speeds_takeover.WORDS


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


def setup(app):
    app.add_directive("recorded", Recorded)
    app.add_directive("recorded-figure", RecordedFigure)
    app.add_css_file("performance.css")
    app.connect("builder-inited", drawer(DRAWINGS))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
