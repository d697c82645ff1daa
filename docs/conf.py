"""Sphinx: the pages of this folder, and a reference that is generated from the program.

./run python -m pip install --group docs && ./run sphinx-build -W --keep-going -b html docs build/site
"""

import sys
from pathlib import Path
from typing import Any

import kinlim

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

import reference  # noqa: E402 - beside this file

project = "kinlim"
author = "The kinlim developers"
copyright = author
version = release = kinlim.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_ext", "_static"]
templates_path: list[str] = []
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]

# The notebooks a-first-*.md are run anew at each build, in folders of their own. A cell that raises is a warning, with
# its traceback, and -W makes that an error.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_show_tb = True
nb_execution_timeout = 300
nb_merge_streams = True

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"kinlim {release}"
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["notebooks.css"]


def setup(app: Any) -> None:
    """Write what is generated before the pages are read."""
    app.connect("builder-inited", lambda app: reference.write(Path(app.srcdir) / "generated"))
