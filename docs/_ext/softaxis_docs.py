"""Two directives: `drawn`, a figure for light and dark pages, and `generated-table`."""

from pathlib import Path

import figures_compare
import figures_failures
import figures_steps
import tables
from docutils import nodes
from drawing import MODES, save
from sphinx.util.docutils import SphinxDirective

FOLDER = "generated/figures"
DRAWINGS = figures_steps.DRAWINGS | figures_failures.DRAWINGS | figures_compare.DRAWINGS


class Drawn(SphinxDirective):
    """Show the figure of that name; the content says in words what is to be seen."""

    required_arguments = 1
    has_content = True

    def run(self):
        (name,) = self.arguments
        alt = " ".join(self.content)
        pictures = []
        for mode in MODES:
            picture = nodes.image(uri=f"/{FOLDER}/{name}-{mode}.svg", alt=alt)
            picture["classes"] = [f"only-{mode}", "drawn"]
            pictures.append(picture)
        return pictures


class GeneratedTable(SphinxDirective):
    """Show a table of `tables`, made from the records of the package that is installed."""

    required_arguments = 1
    texts = tables.TABLES

    def run(self):
        self.env.note_reread()
        return self.parse_text_to_nodes(self.texts[self.arguments[0]]())


def drawer(drawings):
    """Return what draws every figure once for each mode, when the build begins."""

    def draw_all(app):
        folder = Path(app.srcdir, FOLDER)
        folder.mkdir(parents=True, exist_ok=True)
        for name, draw in drawings.items():
            for mode in MODES:
                save(draw, mode, folder / f"{name}-{mode}.svg")

    return draw_all


def setup(app):
    app.add_directive("drawn", Drawn)
    app.add_directive("generated-table", GeneratedTable)
    app.connect("builder-inited", drawer(DRAWINGS))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
