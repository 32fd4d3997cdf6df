"""The documentation site: `make site` builds it from these pages and from docstrings, with Sphinx."""

from __future__ import annotations

from llmarch_cli.version import __version__

project = "llmarch"
author = "The llmarch authors"
copyright = "The llmarch authors. Apache-2.0"  # noqa: A001  # Sphinx's name for it
release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["generate.py"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # the article's sections begin one level deeper, as every Markdown report's do

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True, "exclude-members": "model_config, summarized"}
napoleon_google_docstring = True
strip_signature_backslash = True  # so that `as_` is the name of an argument, not a reference

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"llmarch {release}"
html_copy_source = False
html_show_sphinx = False
