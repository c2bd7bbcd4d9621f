"""Screenshots of the README and of a site's pages, where there is a Chromium."""

import shutil

import pytest

pytest.importorskip("markdown_it")
pytest.importorskip("selenium")
pytest.importorskip("PIL")

from PIL import Image

from scripts import screenshots

has_browser = pytest.mark.skipif(
    not (any(map(shutil.which, screenshots.BROWSERS)) and shutil.which("chromedriver")),
    reason="no Chromium with its chromedriver on the path",
)


def started(function, *arguments):
    try:
        return function(*arguments)
    except RuntimeError as error:
        if "does not start" in str(error):
            pytest.skip(str(error))
        raise


def test_the_readme_becomes_a_page_with_tables_and_its_own_pictures(tmp_path):
    (tmp_path / "README.md").write_text(
        "# Name\n\n| a | b |\n| - | - |\n| 1 | 2 |\n\n![x](docs/x.png)\n"
    )
    page = screenshots.readme_page(tmp_path / "README.md")
    assert "<h1>Name</h1>" in page
    assert "<td>2</td>" in page
    assert f'<base href="{tmp_path.resolve().as_uri()}/">' in page
    assert '<img src="docs/x.png"' in page


@has_browser
@pytest.mark.slow
def test_first_screens_are_written_in_their_size(tmp_path):
    site = tmp_path / "site"
    (site / "guides").mkdir(parents=True)
    (site / "guides" / "one.html").write_text("<h1>One</h1>")
    written = started(screenshots.shots, site, tmp_path / "out", ["guides/one"])
    assert [path.name for path in written] == ["readme.png", "guides_one.png"]
    for path in written:
        with Image.open(path) as picture:
            assert picture.size == screenshots.SIZE
            assert len(picture.convert("L").getcolors()) > 20


@has_browser
@pytest.mark.slow
def test_a_picture_that_does_not_load_is_named(tmp_path):
    (tmp_path / "page.html").write_text(
        '<img src="missing.png"><img src="http://127.0.0.1:9/x.png">'
    )
    with pytest.raises(RuntimeError, match=r"page.html: pictures do not load: .*missing.png$"):
        started(screenshots.shots, tmp_path, tmp_path / "out", ["page"])


def test_a_missing_page_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit) as error:
        screenshots.main(["--site", str(tmp_path), "--output", str(tmp_path)])
    assert "index.html: no such page; `make docs` builds the site" in str(error.value)
