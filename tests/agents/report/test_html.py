"""HTML and Markdown of report pages: escaping, anchors, nothing loaded, downloads, glossary, contrast."""

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from dtao_agents.evaluation.statistics import Estimate
from dtao_agents.report import blocks as b
from dtao_agents.report.charts import FIXED_COLOURS, N_COLOURS, Line, LinePlot, ShareStrip, colours
from dtao_agents.report.glossary import GLOSSARY, INSTITUTION_NAMES, plain_name
from dtao_agents.report.html import STYLE, page_html
from dtao_agents.report.markdown import page_markdown
from dtao_agents.report.page import write_page
from dtao_agents.report.scales import Scale, fit, tick_text
from dtao_agents.report.tables import to_csv

from dtao_gym.protocol.allocation import ALLOCATIONS
from dtao_gym.protocol.coinbase import FUNDS
from tests.agents.report.sample_page import BIBTEX, BLOCKS, FACTS, HOSTILE, TITLE

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Elements, their attributes, and the text of a page; fails where tags do not match."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data

    def attributes(self, name: str) -> list[str]:
        return [value for _, given in self.elements if (value := given.get(name)) is not None]


def html_of(*blocks: b.Block, facts=None, title=TITLE) -> str:
    return page_html(title, blocks, facts or {}, GLOSSARY)


def body(page: str) -> str:
    """Return what is inside of main."""
    return page.split('<main id="main" tabindex="-1">')[1].split("</main>")[0]


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(html_of(*BLOCKS, facts=FACTS))


# --- escaping


def test_every_text_of_a_page_is_escaped():
    hostile = HOSTILE.replace("`", "")
    chart = b.Chart(hostile, ShareStrip({hostile: {hostile: 0.5}}), hostile, hostile)
    table = b.Table([hostile], [[hostile]], hostile, name=hostile)
    page = html_of(
        b.Answer([hostile], note=hostile),
        b.Heading(hostile),
        b.Paragraph(f"{hostile} **{hostile}** `{hostile}` [{hostile}](#a{hostile.split()[0]})"),
        b.Bullets([hostile]),
        b.Code(hostile),
        chart,
        table,
        b.Details(hostile, [b.Paragraph(hostile)]),
        b.Citation(hostile),
        facts={hostile: hostile},
        title=hostile,
    )
    parsed = Page(page)
    assert [tag for tag, _ in parsed.elements].count("script") == 1
    assert [tag for tag, _ in parsed.elements].count("style") == 1
    assert parsed.text.count(hostile) >= 18
    assert not [name for _, given in parsed.elements for name in given if name.startswith("on")]


@pytest.mark.parametrize("target", ["javascript:alert", "data:text/html,x", "//host/x", "", "/x"])
def test_links_to_scripts_and_other_hosts_without_a_scheme_are_refused(target):
    with pytest.raises(ValueError, match=r"target: got .* allowed are https://"):
        html_of(b.Paragraph(f"[here]({target})"))


def test_links_to_pages_and_anchors_are_kept():
    page = body(
        html_of(b.Paragraph("[a](https://example.org/?x=1&y=2), [b](#claims), [c](data/x.csv)"))
    )
    assert re.findall('href="([^"]*)"', page) == [
        "https://example.org/?x=1&amp;y=2",
        "#claims",
        "data/x.csv",
    ]


# --- structure


def test_ids_are_unique_and_every_link_inside_the_page_has_its_target(page):
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    inside = [link[1:] for link in page.attributes("href") if link.startswith("#")]
    assert set(inside) <= set(ids)
    assert set(page.attributes("aria-describedby")) <= set(ids)
    assert {"crowding-out", "crowding-out-2", "claims", "glossary", "facts"} <= set(ids)


def test_a_given_anchor_cannot_repeat():
    with pytest.raises(ValueError, match="anchor: got 'claims' for 'B'"):
        html_of(b.Heading("A", anchor="claims"), b.Heading("B", anchor="claims"))
    with pytest.raises(ValueError, match="anchor: got 'main'"):
        html_of(b.Heading("A", anchor="main"))
    assert 'id="main-2"' in html_of(b.Heading("Main"))


def test_a_page_has_landmarks_a_skip_link_and_one_heading_of_level_1(page):
    tags = [tag for tag, _ in page.elements]
    for tag in ("header", "nav", "main", "footer", "h1"):
        assert tags.count(tag) == 1
    assert ("a", {"class": "skip", "href": "#main"}) in page.elements


def test_contents_list_the_headings():
    headings = [b.Heading("One"), b.Heading("Two", 3), b.Heading("Three", 4), b.Heading("Four")]
    contents = html_of(*headings).split("<nav")[1].split("</nav>")[0]
    assert re.findall('href="#([^"]*)"', contents) == ["one", "two", "four"]


# --- nothing is loaded


def test_nothing_is_loaded_from_elsewhere(page):
    loaded = [
        value
        for tag, given in page.elements
        for name, value in given.items()
        if name in ("src", "srcset", "data", "action", "poster", "xlink:href")
        or (name == "href" and tag != "a")
    ]
    assert loaded == []
    assert not re.search(r"url\(|@import|@font-face", STYLE)
    assert "default-src 'none'" in html_of()


def test_the_same_blocks_give_the_same_bytes(tmp_path):
    for name in ("first", "second"):
        write_page(tmp_path / name, TITLE, BLOCKS, FACTS)
    for file in ("report.html", "report.md"):
        first, second = ((tmp_path / name / file).read_bytes() for name in ("first", "second"))
        assert first == second
    assert sorted(path.name for path in (tmp_path / "first").iterdir()) == [
        "report.html",
        "report.md",
    ]
    assert (tmp_path / "first" / "report.html").stat().st_size < 300_000


def test_a_refused_page_leaves_the_old_one(tmp_path):
    write_page(tmp_path, TITLE, [b.Paragraph("old")])
    with pytest.raises(ValueError, match="target"):
        write_page(tmp_path, TITLE, [b.Paragraph("[x](javascript:x)")])
    assert "old" in (tmp_path / "report.md").read_text()


# --- tables and their downloads


def test_csv_has_full_precision_and_the_ends_of_intervals():
    table = b.Table(
        ["name", b.Column("effect", "+.1f"), "n"],
        [["a, b", Estimate(1 / 3, np.float64(0.1), 0.5), np.int64(2048)], ["=1+1", None, None]],
        "Effects",
    )
    page = html_of(table)
    (link,) = re.findall('download="([^"]*)" href="data:text/csv;charset=utf-8,([^"]*)"', page)
    assert link[0] == "effects.csv"
    rows = list(csv.reader(io.StringIO(unquote(link[1]).removeprefix("\ufeff"))))
    assert rows == [
        ["name", "effect", "effect, 95% low", "effect, 95% high", "n"],
        ["a, b", repr(1 / 3), "0.1", "0.5", "2048"],
        ["'=1+1", "", "", "", ""],
    ]
    assert '<td class="number" data-value="0.3333333333333333">+0.3 [+0.1, +0.5]</td>' in page
    assert '<td class="number" data-value="2048.0">2,048</td>' in page


def test_texts_that_begin_like_numbers_stay_as_they_are_in_csv():
    rows = [["-0.5 [-1, 0]"], ["- none"], ["-"], ["+3"], ["-cmd"], ["@x"]]
    written = to_csv(["a"], rows).splitlines()[1:]
    assert written == ['"-0.5 [-1, 0]"', "- none", "-", "+3", "'-cmd", "'@x"]


def test_columns_with_text_are_not_aligned_as_numbers():
    page = html_of(b.Table(["a", "b"], [[1, "x"], [2.5, 3.0]], "T"))
    assert '<th scope="col" class="number">a</th><th scope="col">b</th>' in page


def test_what_is_not_a_number_is_a_dash_and_an_empty_field():
    page = html_of(b.Table(["a"], [[float("nan")], [Estimate(np.nan, np.nan, np.nan)]], "T"))
    assert page.count('<td class="number">–</td>') + page.count("<th scope") >= 2
    assert "nan" not in body(page).lower()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: b.Table(["a"], [[1, 2]], "T"), r"rows\[0\]: got 2 cells, allowed are 1"),
        (lambda: b.Table(["a"], [[[]]], "T"), r"rows\[0\], a: got list, allowed are text"),
        (lambda: b.Table(["a"], [], " "), "caption: got no text"),
        (lambda: b.Heading("x", 1), "level: got 1, allowed are 2, 3 and 4"),
        (lambda: b.Heading("x", anchor="A b"), "anchor: got 'A b', allowed are small letters"),
        (lambda: b.Answer("text"), "sentences: got 'text', allowed are one to three texts"),
        (lambda: b.Chart("", ShareStrip({"a": {}}), "alt"), "title: got no text"),
        (lambda: b.Column("a", "%d"), "form: got '%d', allowed is a format"),
        (lambda: b.Details("x", [b.Heading("y")]), "blocks: got a heading"),
        (lambda: ShareStrip({"a": {"x": 0.7, "y": 0.7}}), r"rows\['a'\]: got shares that add"),
        (lambda: Line("a", [(2, 1.0), (1, 1.0)]), "allowed are places in ascending order"),
        (lambda: LinePlot([Line("a", [(0, 1.0)])], "x", "y", log_x=True), "above 0"),
        (lambda: LinePlot([], "x", "y"), "curves: got none"),
        (lambda: Scale(1.0, 1.0), r"span: got \(1.0, 1.0\), allowed are two finite"),
    ],
)
def test_errors_name_the_field_and_what_is_allowed(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# --- glossary


def marked(page: str) -> list[str]:
    return re.findall('<a class="term" href="#term-[^"]*"[^>]*>([^<]*)</a>', page)


def test_only_defined_terms_are_marked_and_each_is_defined_at_the_end(page):
    written = html_of(*BLOCKS)
    forms = {form.lower() for term in GLOSSARY.values() for form in (term.name, *term.forms)}
    assert marked(written)
    for text in marked(written):
        assert text.lower() in forms or text.lower().removesuffix("s") in forms
    shown = set(re.findall('href="#(term-[^"]*)"', written))
    assert shown == set(re.findall('<dt id="([^"]*)"', written))


def test_a_term_is_marked_once_in_a_section_and_again_in_the_next():
    text = b.Paragraph("A subnet and Subnets; subnetworks, sub-subnet.")
    assert marked(html_of(text, text, b.Heading("Next"), text)) == ["subnet", "subnet"]


def test_terms_in_code_in_links_and_in_other_words_are_not_marked():
    page = html_of(b.Paragraph("`alpha` [alpha](#x-1) alphabet rooted Tao"), b.Heading("x 1"))
    assert marked(page) == []


def test_the_longest_form_wins():
    assert marked(html_of(b.Paragraph("An equivalence test has an interval."))) == [
        "equivalence test",
        "interval",
    ]


def test_every_institution_has_a_plain_name_and_a_colour():
    assert {*ALLOCATIONS, *FUNDS, "fee"} == set(INSTITUTION_NAMES) == set(FIXED_COLOURS)
    assert len({one.name for one in INSTITUTION_NAMES.values()}) == len(INSTITUTION_NAMES)
    assert plain_name("my_rule") == "my rule"


def test_anchors_of_terms_are_unique_and_definitions_are_sentences():
    assert len({term.anchor for term in GLOSSARY.values()}) == len(GLOSSARY)
    assert all(term.definition.endswith(".") for term in GLOSSARY.values())


# --- charts


def test_colours_are_fixed_for_institutions_and_distinct_for_others():
    chosen = colours(["hype", "price", "finance", "root_vote", "hype"])
    assert chosen["price"] == FIXED_COLOURS["price"]
    assert len(set(chosen.values())) == 4
    assert set(colours(map(str, range(20))).values()) == set(range(N_COLOURS))


def test_a_chart_has_its_result_as_text_and_its_values_as_a_table(page):
    charts = [block for block in BLOCKS if isinstance(block, b.Chart)]
    labels = page.attributes("aria-label")
    for chart in charts:
        assert chart.alt in labels
    assert (
        "without pruning, by token price: +1.10 [+0.80, +1.50] (crowding out, log-odds). 64 seeds"
        in labels
    )
    assert page.text.count("Values of the chart: ") == 2 * len(charts)


def test_coordinates_are_numbers_within_the_drawing(page):
    places = [
        float(value.removesuffix("%"))
        for tag, given in page.elements
        for name, value in given.items()
        if tag in ("line", "rect", "circle", "text") and name in ("x", "x1", "x2", "cx", "y", "cy")
    ]
    assert len(places) > 300
    assert min(places) >= 0.0
    assert max(places) <= 100.0


@pytest.mark.parametrize("values", [(-0.3, 1.47), (0.0, 0.0), (12_345.0, 98_765.0), (1e-9, 3e-9)])
def test_scales_contain_their_values_and_have_a_few_ticks(values):
    scale = fit(values)
    assert all(scale.holds(value) for value in values)
    assert 2 <= len(scale.ticks()) <= 8
    assert all(scale.holds(tick) or np.isclose(tick, scale.high) for tick in scale.ticks())
    assert len(set(tick_text(scale.ticks()))) == len(scale.ticks())


def test_logarithmic_scales_have_equal_distances_for_equal_ratios():
    scale = Scale(1.0, 100.0, log=True)
    assert [scale.place(x) for x in (1.0, 10.0, 100.0, 1e6)] == [0.0, 50.0, 100.0, 100.0]
    assert scale.ticks() == [1.0, 3.0, 10.0, 30.0, 100.0]


# --- Markdown


def test_markdown_has_the_same_content():
    page = page_markdown(TITLE, BLOCKS, FACTS)
    assert page.startswith(f"# {TITLE}\n\n> Subnet markets")
    assert f"```\n{BIBTEX}\n```" in page
    assert "| by token price | +1.10 [+0.80, +1.50] | 64 seeds |" in page
    assert "<script" not in page.replace("```", "").split("Plan of the run")[0]
    (row,) = [line for line in page.splitlines() if line.startswith("| root_vote |")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 6


def test_markdown_of_literal_text_means_nothing():
    page = page_markdown("a *b* _c_ d_e", [b.Paragraph("- no list"), b.Paragraph("1. no list")], {})
    assert page == "# a \\*b\\* \\_c\\_ d_e\n\n\\- no list\n\n1\\. no list\n"


def test_a_fence_is_longer_than_those_inside():
    assert "````\n```\nx\n```\n````" in page_markdown("t", [b.Code("```\nx\n```")], {})


# --- colours of the page


def tokens() -> dict[str, tuple[str, str]]:
    pairs = re.findall(r"--([a-z0-9]+): light-dark\((#\w{6}), (#\w{6})\)", STYLE)
    return {name: (light, dark) for name, light, dark in pairs}


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG 2."""

    def luminance(colour: str) -> float:
        channels = np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
        linear = np.where(
            channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
        )
        return float(linear @ (0.2126, 0.7152, 0.0722))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_contrast_is_enough_for_text_and_for_marks(theme):
    colour = {name: pair[theme] for name, pair in tokens().items()}
    for ground in ("paper", "raised"):
        for text in ("ink", "soft", "link"):
            assert contrast(colour[text], colour[ground]) >= 4.5, (text, ground)
    for k in range(N_COLOURS):
        assert contrast(colour[f"c{k}"], colour["paper"]) >= 4.5, k  # shares are written on bars
        assert contrast(colour[f"c{k}"], colour["band"]) >= 3.0, k
    assert contrast(colour["edge"], colour["paper"]) >= 3.0


def test_the_package_contains_its_style_and_script():
    folder = Path(b.__file__).parent
    assert {path.name for path in folder.iterdir()} >= {"page.css", "page.js"}
