"""How the documentation is built: MyST pages, tutorials that run, and the docstrings; offline."""

import os
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))
from generate import write_pages

import mmopt

project = "mmopt"
author = "the mmopt developers"
version = release = mmopt.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]
source_suffix = {".md": "myst-nb", ".rst": "restructuredtext"}

html_theme = "furo"
html_title = f"mmopt {version}"
html_static_path = ["static"]
html_css_files = ["mmopt.css"]
html_show_copyright = False
html_show_sphinx = False
html_math_renderer = "mathml"  # browsers draw it themselves: no script, no font from elsewhere

myst_enable_extensions = ["amsmath", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"  # a cell that fails after a change of the library is noticed
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_execution_show_tb = True
nb_merge_streams = True

default_role = "code"  # names in docstrings stand in single backticks
autodoc_typehints = "none"  # types stand in the signature
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "imported-members": True}
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
python_use_unqualified_type_names = True
maximum_signature_line_length = 88
nitpicky = False

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the notebooks' kernels


def _mathml(formula: str, display: str) -> str:
    return convert(formula.replace("{aligned}", "{align*}"), display=display)  # the converter knows only the latter


def _inline_math(translator: Any, node: nodes.math) -> None:
    translator.body.append(_mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def _math_block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="math">{_mathml(node.astext(), "block")}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Write the generated pages, and draw formulas as MathML."""
    write_pages(Path(app.srcdir))
    app.add_html_math_renderer("mathml", (_inline_math, None), (_math_block, None))
