"""How the site is built: `tox run -e docs`, or `sphinx-build -W docs docs/_build/html` with the extra `docs` installed.

Nothing is asked of a network: the pages are those that are read in the repository, and the references are made of the
package itself.
"""

import runpy
from pathlib import Path
from typing import TYPE_CHECKING

from pygments.lexers.dsls import PuppetLexer
from pygments.lexers.shell import BashLexer
from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx

import notify

HERE = Path(__file__).parent
# Pages that a script prints, which are in the repository for those who read them there.
PRINTED = {"settings.md": "settings_page.py", "commands.md": "commands_page.py"}

project = "notify"
version = release = notify.__version__
project_copyright = "2026 The notify contributors, under the MIT licence"
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "examples"]

# The pages' own links, `page.md#a-heading`, work as on GitHub.
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
add_module_names = False
napoleon_numpy_docstring = False
napoleon_use_rtype = False
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"
# What stands between single backticks is a name: a link where the reference has it, and code everywhere.
default_role = "py:obj"

# Every name of this package that a signature or a page names has to be found. Those of others are on their own sites,
# which this build does not ask.
nitpicky = True
nitpick_ignore_regex = [
    ("py:obj", ".*"),
    ("py:.*", r"(?!notify\.).*"),
    # Types in signatures that no program has to name.
    (
        "py:class",
        r"notify\.(delivery\.pipeline\.Redaction|rules\.routing\.Topics|arguments\.Parts|integrations\.sentry\.T|testing\.\w+\.(Received|Reply))",
    ),
]

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = f"notify {release}"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b6b4f", "color-brand-content": "#0b6b4f"},
    "dark_css_variables": {"color-brand-primary": "#4fd1a5", "color-brand-content": "#4fd1a5"},
    "navigation_with_keys": True,
}
html_static_path = ["_static"]
html_css_files = ["site.css"]


def check_printed_pages(app: "Sphinx") -> None:
    """Warn, which ends the build, of a page that is not what its script prints any more."""
    for page, script in PRINTED.items():
        if (HERE / page).read_text() != runpy.run_path(str(HERE / script))["page"]():
            logging.getLogger(__name__).warning("docs/%s is old: python docs/%s > docs/%s", page, script, page)


def mark_code(_app: object, _what: str, _name: str, _obj: object, _options: object, lines: list[str]) -> None:
    """Mark what is indented after a blank line of a docstring as the code that it is."""
    for index in range(len(lines) - 2, 0, -1):
        above = lines[index - 1]
        if not lines[index].strip() and above[:1].strip() and lines[index + 1].startswith("    "):
            lines[index:index] = ["", ".. code-block:: python"]


as_written: dict[str, list[str]] = {}


def keep_attribute(_app: object, what: str, name: str, _obj: object, _options: object, lines: list[str]) -> None:
    """Keep what an attribute says of itself from napoleon, which takes the words before a colon for its type."""
    if what in ("attribute", "property"):
        as_written[name] = list(lines)


def restore_attribute(_app: object, _what: str, name: str, _obj: object, _options: object, lines: list[str]) -> None:
    """Put back what was kept."""
    lines[:] = as_written.pop(name, lines)


def setup(app: "Sphinx") -> None:
    """Have the build know the languages of the pages' blocks, and look at the printed pages."""
    app.add_lexer("caddyfile", BashLexer)
    app.add_lexer("dotenv", BashLexer)
    app.add_lexer("logstash", PuppetLexer)
    app.add_lexer("nftables", BashLexer)
    app.connect("builder-inited", check_printed_pages)
    app.connect("autodoc-process-docstring", mark_code, priority=400)  # before napoleon, whose priority is 500
    app.connect("autodoc-process-docstring", keep_attribute, priority=400)
    app.connect("autodoc-process-docstring", restore_attribute, priority=600)
