"""How Sphinx makes the site of what `tools.site` has laid out beside this file."""

from docutils.nodes import SkipNode
from latex2mathml.converter import convert
from sphinx.util.docutils import SphinxTranslator

project = "cnnlab"
html_title = "cnnlab"
copyright = "the cnnlab authors"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx.ext.githubpages",
]
nb_execution_mode = "off"
nb_render_markdown_format = "myst"  # or a table that a cell wrote would not be one
nb_ipywidgets_js = {}  # else scripts from elsewhere
myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath"]
napoleon_use_ivar = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
html_theme = "furo"
html_copy_source = False
html_extra_path = ["extra"]
html_static_path = ["static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
default_role = "code"
exclude_patterns = ["extra", "static"]
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"


def _inline(self: SphinxTranslator, node):
    self.body.append(convert(node.astext()))
    raise SkipNode


def _block(self: SphinxTranslator, node):
    self.body.append(convert(node.astext(), display="block"))
    raise SkipNode


def _skip(app, what, name, member, skip, options):
    # The fields of a NamedTuple: their comments say what they are, [source] shows them.
    return skip or type(member).__name__ == "_tuplegetter"


def setup(app):
    """Write formulas as MathML, which needs neither a script nor a font."""
    app.connect("autodoc-skip-member", _skip)
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
