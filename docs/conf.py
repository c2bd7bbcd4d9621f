"""Configuration of the site; `make docs` builds it.

Pages of the reference are generated from the code before Sphinx reads anything. Pages are also read on GitHub, so
that links to files outside `docs` are relative in the source and become links to the repository here.
"""

import re
import sys
from pathlib import Path, PurePosixPath
from posixpath import normpath

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "agents")]

from dtao_gym import __version__  # noqa: E402
from scripts.build_reference import write_pages  # noqa: E402

project = "dtao_gym"
author = "dtao_gym contributors"
project_copyright = "dtao_gym contributors, MIT licence"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["images", "**/.ipynb_checkpoints", "reference/generated/snapshot*"]
nitpicky = True
# Types in signatures are those of other packages, whose inventories would have to be downloaded.
nitpick_ignore_regex = [(r"py:.*", r".*")]

nb_execution_mode = "off"  # the tests run notebooks and examples
myst_enable_extensions = ["attrs_block", "colon_fence", "deflist", "dollarmath", "html_image"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings name types, with shapes and units
napoleon_numpy_docstring = True
napoleon_google_docstring = False
napoleon_use_rtype = False
default_role = "code"

html_theme = "furo"
html_title = f"dtao_gym {version}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_theme_options = {
    "top_of_page_buttons": [],  # generated pages have no source in the repository
    "source_repository": "https://github.com/dtao-gym/dtao-gym/",
    "source_branch": "main",
    "source_directory": "docs/",
}
copybutton_prompt_text = "$ "
linkcheck_timeout = 20
linkcheck_retries = 2
linkcheck_anchors = False

REPOSITORY = "https://github.com/dtao-gym/dtao-gym/blob/main/"
PAGES_OF_FILES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "index.md",
    "RESULTS.md": "results/tables.md",
    "benchmarks/README.md": "results/benchmarks.md",
    "benchmarks/results/many_agents.md": "results/speed.md",
    "benchmarks/results/span_error.md": "results/speed.md",
    "benchmarks/results/speed.md": "results/speed.md",
}
"""Files outside `docs`, and the pages that show them."""
RELATIVE_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|<)([^)#\s]+)(#[^)\s]*)?(?=\))")


def site_link(target: str, folder: str, page: str) -> str:
    """Return a link of a Markdown file for the page that shows it.

    Parameters
    ----------
    target : str
        Path of a file, relative to `folder`.
    folder : str
        Folder of the Markdown file, relative to the repository.
    page : str
        Page that shows it, relative to `docs`.
    """
    path = normpath(f"{folder}/{target}")
    if path in PAGES_OF_FILES:
        path = f"docs/{PAGES_OF_FILES[path]}"
    if path.startswith("docs/") and (ROOT / path).is_file():
        up = "../" * (len(PurePosixPath(page).parts) - 1)
        return f"{up}{path.removeprefix('docs/')}"
    if path.startswith("docs/"):  # a page that the build writes
        return target
    return f"{REPOSITORY}{path}"


def with_site_links(text: str, folder: str, page: str) -> str:
    """Return the text of a Markdown file with the links of `site_link`."""
    return RELATIVE_LINK.sub(lambda link: site_link(link[1], folder, page) + (link[2] or ""), text)


def _page_read(app, name, content):
    if app.env.doc2path(name).suffix == ".md":
        folder = normpath(f"docs/{PurePosixPath(name).parent}")
        content[0] = with_site_links(content[0], folder, name)


def _include_read(app, path, parent, content):
    folder = (Path(app.srcdir) / path).resolve().parent.relative_to(ROOT).as_posix()
    content[0] = with_site_links(content[0], folder, app.env.docname)


def setup(app):
    """Generate the reference and connect the translation of links."""
    write_pages(ROOT / "docs/reference/generated")
    app.connect("source-read", _page_read)
    app.connect("include-read", _include_read)
    return {"parallel_read_safe": True}
