"""Report pages in a browser: layout at several widths, tooltips, legends, downloads, accessibility."""

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from dtao_agents.report.page import write_page

from tests.agents.report.sample_page import BIBTEX, BLOCKS, FACTS, TITLE

MISSING = "a package of the extra `dev` is not installed"
webdriver = pytest.importorskip("selenium.webdriver", reason=MISSING)
axe_core_python = pytest.importorskip("axe_core_python", reason=MISSING)
ActionChains, Keys = webdriver.ActionChains, webdriver.Keys
By = pytest.importorskip("selenium.webdriver.common.by").By
WebDriverWait = pytest.importorskip("selenium.webdriver.support.ui").WebDriverWait
WebDriverException = pytest.importorskip("selenium.common.exceptions").WebDriverException

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
AXE = Path(axe_core_python.__file__).with_name("axe.min.js")
WIDTHS = (360, 400, 1280, 1600)


@pytest.fixture(scope="module")
def downloads(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def chromium(downloads, tmp_path_factory):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no Chromium with its chromedriver on the path")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    # A container has neither the privileges of the sandbox nor a large /dev/shm.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-first-run"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    try:
        started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    except WebDriverException as error:
        pytest.skip(f"Chromium does not start: {error.msg}")
    yield started
    started.quit()


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("report")
    write_page(folder, TITLE, BLOCKS, FACTS)
    return (folder / "report.html").as_uri()


@pytest.fixture
def browse(chromium, address):
    """A function that opens the page at a width, under a theme of the system; fails at errors of the console."""

    def opened(width: int = 1280, theme: str = "light", **media: str):
        # Without smooth scrolling a click finds its element at rest.
        features = {"prefers-color-scheme": theme, "prefers-reduced-motion": "reduce", **media}
        chromium.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
        )
        chromium.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": name, "value": value} for name, value in features.items()]},
        )
        chromium.get(address)
        chromium.execute_script("localStorage.clear()")
        chromium.get(address)
        return chromium

    chromium.get_log("browser")
    yield opened
    assert chromium.get_log("browser") == []


def width_of(browser) -> tuple[int, int]:
    """Return the width that the page needs, and the one it has."""
    script = "const r = document.documentElement; return [r.scrollWidth, r.clientWidth]"
    return tuple(browser.execute_script(script))


def open_folds(browser) -> None:
    browser.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; })")


def tip(browser):
    return browser.find_element(By.ID, "tip")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_page_does_not_scroll_sideways(browse, width):
    browser = browse(width)
    assert width_of(browser) == (width_of(browser)[1],) * 2
    open_folds(browser)
    assert width_of(browser) == (width_of(browser)[1],) * 2


@pytest.mark.parametrize("width", [360, 1280])
def test_the_answer_is_on_the_first_screen(browse, width):
    answer = browse(width).find_element(By.CSS_SELECTOR, ".answer")
    assert answer.rect["y"] + answer.rect["height"] < 900


def test_nothing_is_requested_but_the_page(browse, address):
    browser = browse()
    browser.get_log("performance")
    browser.refresh()
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requested = {
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    }
    assert {url for url in requested if not url.startswith("chrome:")} == {address}


@pytest.mark.parametrize("width", [360, 1280])
def test_terms_have_a_tooltip_on_hover_and_on_focus(browse, width):
    browser = browse(width)
    term = browser.find_element(By.LINK_TEXT, "emission")
    definition = browser.find_element(By.ID, term.get_attribute("aria-describedby")).text
    assert not tip(browser).is_displayed()
    ActionChains(browser).move_to_element(term).perform()
    assert tip(browser).text == definition
    assert tip(browser).rect["x"] >= 0
    assert tip(browser).rect["x"] + tip(browser).rect["width"] <= width
    ActionChains(browser).send_keys(Keys.ESCAPE).perform()
    assert not tip(browser).is_displayed()
    browser.execute_script("arguments[0].focus()", term)
    assert tip(browser).text == definition


def test_marks_of_charts_have_a_tooltip_on_hover_and_by_keyboard(browse):
    browser = browse()
    rows = browser.find_elements(By.CSS_SELECTOR, "#chart-1 .mark")
    ActionChains(browser).move_to_element(rows[0]).perform()
    assert tip(browser).text.startswith("without pruning, by token price: +1.10 [+0.80, +1.50]")
    points = browser.find_elements(By.CSS_SELECTOR, "#chart-3 .mark")
    ActionChains(browser).move_to_element(points[2]).perform()
    assert tip(browser).text == "by token price, at 90: +0.23 [-0.07, +0.62]"
    assert (
        browser.execute_script(
            "return document.querySelectorAll('#chart-1 .mark[tabindex=\"0\"]').length"
        )
        == 1
    )
    browser.execute_script("arguments[0].focus()", rows[0])
    ActionChains(browser).send_keys(Keys.ARROW_DOWN).perform()
    assert browser.switch_to.active_element == rows[1]
    assert "by net inflow of TAO (2025): +0.75" in tip(browser).text


def test_a_legend_hides_and_shows_its_marks(browse):
    browser = browse()
    key = browser.find_element(By.XPATH, "//button[@data-key][normalize-space()='by token price']")
    rows = browser.find_elements(By.CSS_SELECTOR, "#chart-1 .row[data-key='s0']")
    assert len(rows) == 2
    for pressed, shown in (("false", False), ("true", True)):
        key.click()
        assert key.get_attribute("aria-pressed") == pressed
        assert [row.is_displayed() for row in rows] == [shown, shown]


def test_the_link_saves_the_table_as_csv(browse, downloads):
    browser = browse()
    link = browser.find_element(By.CSS_SELECTOR, "a[download='crowding-out.csv']")
    browser.execute_script("arguments[0].click()", link)
    saved = downloads / "crowding-out.csv"
    WebDriverWait(browser, 10).until(lambda _: saved.is_file())
    rows = list(csv.reader(io.StringIO(saved.read_text(encoding="utf-8-sig"))))
    assert rows[1][:4] == ["price", "1.1", "0.8", "1.5"]
    assert rows[3][6 - 1] == "'=1+1"


def test_a_column_sorts_by_numbers(browse):
    browser = browse()
    head = browser.find_element(By.XPATH, "//th/button[normalize-space()='seeds']")
    firsts = "//table[.//button[normalize-space()='seeds']]/tbody/tr/th"
    orders = []
    for _ in range(2):
        head.click()
        orders.append([cell.text for cell in browser.find_elements(By.XPATH, firsts)])
    assert orders == [["uniform", "price", "root_vote"], ["root_vote", "price", "uniform"]]


def test_a_citation_is_copied_or_selected(browse):
    browser = browse()
    button = browser.find_element(By.CSS_SELECTOR, ".copy")
    button.click()
    WebDriverWait(browser, 5).until(lambda _: button.text != "Copy")
    if button.text != "Copied":
        assert browser.execute_script("return String(getSelection())").strip() == BIBTEX


def test_zoom_widens_the_plot_inside_of_its_container(browse):
    browser = browse(400)
    chart = browser.find_element(By.ID, "chart-3")
    field = chart.find_element(By.CSS_SELECTOR, ".field")
    before = field.rect["width"]
    zoom_in, zoom_out = chart.find_elements(By.CSS_SELECTOR, ".zoom-tools button")
    zoom_in.click()
    assert field.rect["width"] == pytest.approx(2 * before, rel=0.02)
    assert width_of(browser) == (width_of(browser)[1],) * 2
    zoom_out.click()
    assert field.rect["width"] == pytest.approx(before)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_theme_follows_the_system_until_the_reader_chooses(browse, address, theme):
    browser = browse(theme=theme)
    grounds = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}
    other = "dark" if theme == "light" else "light"
    ground = "return getComputedStyle(document.body).backgroundColor"
    assert browser.execute_script(ground) == grounds[theme]
    browser.find_element(By.CSS_SELECTOR, ".theme").click()
    assert browser.execute_script(ground) == grounds[other]
    browser.get(address)
    assert browser.execute_script(ground) == grounds[other]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_axe_finds_no_violation(browse, theme, width):
    browser = browse(width, theme)
    open_folds(browser)
    ActionChains(browser).move_to_element(browser.find_element(By.LINK_TEXT, "emission")).perform()
    browser.execute_script(AXE.read_text(encoding="utf-8"))
    results = browser.execute_async_script(
        "const done = arguments[arguments.length - 1]; axe.run().then(done)"
    )
    assert [
        (violation["id"], violation["help"], [node["html"][:200] for node in violation["nodes"]])
        for violation in results["violations"]
    ] == []
    assert {"color-contrast", "landmark-one-main", "region", "skip-link", "heading-order"} <= {
        rule["id"] for rule in results["passes"]
    }


@pytest.mark.parametrize(("wish", "behaviour"), [("reduce", "auto"), ("no-preference", "smooth")])
def test_reduced_motion_is_respected(browse, wish, behaviour):
    browser = browse(**{"prefers-reduced-motion": wish})
    script = "return getComputedStyle(document.documentElement).scrollBehavior"
    assert browser.execute_script(script) == behaviour


def test_print_opens_folds_is_light_and_shows_where_links_lead(browse):
    browser = browse(theme="dark")
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert browser.find_elements(By.CSS_SELECTOR, "main details:not([open])") == []
    browser.execute_script("dispatchEvent(new Event('afterprint'))")
    assert browser.find_elements(By.CSS_SELECTOR, "main details[open]") == []
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"media": "print", "features": [{"name": "prefers-color-scheme", "value": "dark"}]},
    )
    style = "return getComputedStyle(document.querySelector(arguments[0]), arguments[1])"
    assert browser.execute_script(f"{style}.backgroundColor", "body", None) == "rgb(255, 255, 255)"
    link = browser.execute_script(f"{style}.content", "main a[href^='https']", "::after")
    assert "https://example.org/a?b=1&c=2" in link
    assert browser.execute_script(f"{style}.display", ".theme", None) == "none"
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_a_page_is_complete_without_its_script(browse):
    browser = browse()
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.refresh()
        rows = browser.find_elements(By.CSS_SELECTOR, "#chart-1 .row.mark")
        assert len(rows) == 11
        assert all(row.rect["height"] > 20 for row in rows)
        assert browser.find_element(By.CSS_SELECTOR, ".contents a").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
