"""Tables on terminals of any width: what is left out, what is folded, and that no number is cut."""

import io

import pytest

pytest.importorskip("rich")

from rich.console import Console

from dtao_gym.tables import Column, fits, parts_that_fit, print_table

LOOK = {"box": None, "pad_edge": False, "padding": (0, 1, 0, 0)}
COLUMNS = (
    Column("name", justify="left", fold=4),
    Column("price"),
    Column("depth", rank=2),
    Column("turn\nover", rank=1),
)
ROWS = [["alphabet", "1.25", "1,000.5", "12"], ["b", "10.50", "2.0", "3"]]


def shown(width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), record=True)
    print_table(console, COLUMNS, ROWS, **LOOK)
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_a_wide_terminal_gets_all_columns_in_one_line_each():
    assert shown(100) == [
        "                       turn",
        "name     price   depth over",
        "alphabet  1.25 1,000.5   12",
        "b        10.50     2.0    3",
    ]


def test_text_is_folded_before_a_column_is_left_out():
    lines = shown(23)
    assert "1,000.5" in "".join(lines)
    assert "alph" in [line.split(" ")[0] for line in lines]
    assert max(map(len, lines)) <= 23


def test_the_highest_rank_is_left_out_first_and_named():
    text = " ".join(shown(20))
    assert "Left out, for want of width: depth." in text
    assert "12" in text
    text = " ".join(shown(12))
    assert "width: depth, turn over." in " ".join(text.split())
    assert "10.50" in text


def test_numbers_are_never_cut():
    columns = (Column("a"), Column("b"))
    console = Console(width=6, file=io.StringIO())
    print_table(console, columns, [["12345.25", "67890.75"]], **LOOK)
    assert "12345.25 67890.75" in console.file.getvalue()
    assert console.width == 6


def test_styles_belong_to_rows():
    console = Console(width=40, file=io.StringIO(), force_terminal=True, color_system="standard")
    print_table(console, (Column("a"),), [["1"], ["2"]], ["bold", None], **LOOK)
    text = console.file.getvalue()
    assert "\x1b[1m1" in text
    assert "\x1b[1m2" not in text


@pytest.mark.parametrize(
    ("width", "sizes"), [(100, [8, 3]), (30, [6, 5]), (5, [1] * 11), (1, [1] * 11)]
)
def test_columns_are_divided_among_tables(width, sizes):
    parts = parts_that_fit(11, 8, lambda part: 5 * len(range(11)[part]) <= width)
    assert [len(range(11)[part]) for part in parts] == sizes
    assert [k for part in parts for k in range(11)[part]] == list(range(11))


def test_fits():
    rows = [["1" * 10]]
    assert fits(Console(width=10), (Column("a"),), rows, **LOOK | {"padding": 0})
    assert not fits(Console(width=9), (Column("a"),), rows, **LOOK | {"padding": 0})
