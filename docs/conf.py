"""Sphinx configuration. `nox -s docs` builds the site, without the network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
sys.path.append(str(Path(__file__).parents[1] / "asv_benchmarks"))  # for the page of speeds

import softaxis

project = "softaxis"
author = "softaxis developers"
copyright = author
version = release = softaxis.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "mathml",
    "performance",  # the page of speeds, from what was recorded
    "softaxis_docs",  # the figures and tables that are computed while the site is built
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
nitpicky = True
# Names of other projects (without their inventories, so that the build needs no network), and a
# parameter that is called like a module.
nitpick_ignore_regex = [("py:obj", r"(jax|scipy|torch)\..*|trace")]

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

default_role = "autolink"
autodoc_typehints = "none"
autosummary_generate = True
numpydoc_show_class_members = False
extlinks = {"doi": ("https://doi.org/%s", "doi:%s")}
extlinks_detect_hardcoded_links = False

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "softaxis"
html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["softaxis.css"]
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"[!a]*": []}  # the pages of the API have one
html_theme_options = {
    "logo": {
        "text": "softaxis",
        "alt_text": "softaxis: home",
        "image_light": "_static/logo.svg",
        "image_dark": "_static/logo-dark.svg",
    },
    "header_links_before_dropdown": 7,
    "icon_links": [
        {
            "name": "Source code",
            "url": "https://github.com/softaxis/softaxis",
            "icon": "fa-brands fa-github",
        }
    ],
    "pygments_light_style": "a11y-light",
    "pygments_dark_style": "a11y-dark",
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}
