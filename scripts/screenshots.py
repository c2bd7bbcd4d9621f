"""Screenshots of README's first screen and of five pages of the site, in the folder `build/screenshots`.

    python scripts/screenshots.py [--site build/docs/html] [--output build/screenshots] [--page PAGE ...]

Needs Chromium with chromedriver, and the site that `make docs` builds; without a site only the README is shown.
"""

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SITE, OUTPUT = ROOT / "build" / "docs" / "html", ROOT / "build" / "screenshots"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PAGES = ("index", "start/first-episode", "reference/generated/environments", "rules", "gallery")
"""Pages of the site that are shown without `--page`."""
SIZE = (1280, 900)
"""Width and height of a screen, pixels."""
README_WIDTH = 860
"""Width of the text of a README on a page of a repository."""
STYLE = f"""
body {{ max-width: {README_WIDTH}px; margin: 24px auto; padding: 0 16px; background: white; color: #1f2328;
  font: 16px/1.5 system-ui, "Noto Sans", "DejaVu Sans", sans-serif; }}
img {{ max-width: 100%; }}
h1, h2 {{ border-bottom: 1px solid #d1d9e0; padding-bottom: .3em; }}
code, pre {{ font: 85% "DejaVu Sans Mono", monospace; background: #f3f4f6; border-radius: 6px; }}
code {{ padding: .2em .4em; }}
pre {{ padding: 16px; overflow: auto; line-height: 1.45; }}
pre code {{ padding: 0; font-size: 100%; }}
table {{ border-collapse: collapse; }}
td, th {{ border: 1px solid #d1d9e0; padding: 6px 13px; }}
"""


def readme_page(readme: Path) -> str:
    """Return the README as a page of HTML; pictures are those of its folder."""
    from markdown_it import MarkdownIt

    body = MarkdownIt("commonmark", {"html": True}).enable("table").render(readme.read_text())
    base = readme.parent.resolve().as_uri()
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><base href="{base}/">'
        f"<title>{readme.parent.name}</title><style>{STYLE}</style>{body}</html>"
    )


@contextmanager
def browser() -> Iterator[Any]:
    """Start Chromium without a window. Raises RuntimeError where it is missing or does not start."""
    from selenium import webdriver
    from selenium.common.exceptions import WebDriverException

    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        raise RuntimeError("screenshots need Chromium with its chromedriver on the path")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    width, height = SIZE
    with tempfile.TemporaryDirectory() as profile:
        # A container has neither the privileges of the sandbox nor a large /dev/shm.
        for argument in (
            "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-first-run",
            "--hide-scrollbars", f"--window-size={width},{height}", f"--user-data-dir={profile}",
        ):  # fmt: skip
            options.add_argument(argument)
        try:
            started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        except WebDriverException as error:
            raise RuntimeError(f"Chromium does not start: {error.msg}") from None
        try:
            started.execute_cdp_cmd(  # the size of the page, without the frame of a window
                "Emulation.setDeviceMetricsOverride",
                {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
            )
            yield started
        finally:
            started.quit()


def take(driver: Any, address: str, path: Path) -> None:
    """Write the first screen of an address.

    Raises RuntimeError for a picture beside the page that does not load; those of other sites need the network.
    """
    driver.get(address)
    broken = driver.execute_script(
        "return [...document.images].filter(i => i.src.startsWith('file:') && i.loading != 'lazy'"
        " && !i.naturalWidth).map(i => i.src)"
    )
    if broken:
        raise RuntimeError(f"{address}: pictures do not load: {', '.join(broken)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    driver.save_screenshot(str(path))


def shots(site: Path | None, output: Path, pages: Sequence[str] = PAGES) -> list[Path]:
    """Write the README's first screen and those of pages of a built site; return the files.

    Raises FileNotFoundError for pages that the site lacks, RuntimeError for what `browser` and `take` say.
    """
    addresses = {}
    for page in pages if site is not None else ():
        file = site / f"{page}.html"
        if not file.is_file():
            raise FileNotFoundError(f"{file}: no such page; `make docs` builds the site")
        addresses[re.sub(r"\W+", "_", page)] = file.resolve().as_uri()
    written = []
    with browser() as driver, tempfile.TemporaryDirectory() as folder:
        readme = Path(folder) / "readme.html"
        readme.write_text(readme_page(ROOT / "README.md"))
        for name, address in {"readme": readme.as_uri(), **addresses}.items():
            take(driver, address, output / f"{name}.png")
            written.append(output / f"{name}.png")
    return written


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--site", type=Path, default=SITE)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--page", action="append", dest="pages")
    options = parser.parse_args(arguments)
    site = options.site
    if site == SITE and not site.is_dir() and not options.pages:
        print(f"{site}: no site; `make docs` builds it", file=sys.stderr)
        site = None
    try:
        written = shots(site, options.output, options.pages or PAGES)
    except (RuntimeError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")
    for path in written:
        print(path)


if __name__ == "__main__":
    main()
