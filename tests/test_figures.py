"""Parts of figures: round ticks, names that do not overlap, short numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtao_gym import figures


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.857, 1.16), (0.5, 1.3), (0.4, 1.8), (0.05, 4.0), (1e-7, 1e6), (0.9, 30.0), (940.0, 1061.0)],
)
def test_ticks_are_few_and_one_is_among_them(low, high):
    ticks = figures.log_ticks(low, high)
    assert 3 <= ticks.size <= 7
    assert np.isclose(ticks, 1.0).any() or low > 1.0
    assert (np.diff(ticks) > 0).all()
    assert low <= ticks[0] < ticks[-1] <= high * (1 + 1e-9)


@given(st.lists(st.floats(0.0, 1.0), max_size=12), st.floats(0.01, 0.2))
def test_names_are_moved_apart_within_the_bounds_in_their_order(places, gap):
    moved = figures.spread(places, gap, 0.0, 1.0)
    assert moved.shape == (len(places),)
    if len(places) > 1:
        least = min(gap, 1.0 / (len(places) - 1))
        order = np.argsort(places, kind="stable")
        assert (np.diff(moved[order]) >= least - 1e-9).all()
    assert all(-1e-9 <= place <= 1.0 + 1e-9 for place in moved)


def test_names_with_room_stay_where_they_are():
    wished = [0.9, 0.1, 0.5]
    assert figures.spread(wished, 0.1, 0.0, 1.0) == pytest.approx(wished)
    assert figures.spread([0.5, 0.5], 0.1, 0.0, 1.0) == pytest.approx([0.45, 0.55])
    assert figures.spread([], 0.1, 0.0, 1.0).size == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (0.02196, "0.022"), (5.0, "5"), (99.7, "99.7"), (99.96, "100"),
        (1234.5, "1,234"), (999_999.9, "1M"), (12_345_678.0, "12.35M"), (1e-7, "1e-07"),
        (-56.2, "-56.2"), (float("nan"), "-"), (3e12, "3.00e+12"),
    ],
)  # fmt: skip
def test_amounts_are_short(value, text):
    assert figures.amount(value) == text


def test_percentages_and_factors_are_short():
    assert [figures.percent(x) for x in (0.0, 0.004, 0.0994, 0.1, 1.0)] == [
        "0 %", "0.4 %", "9.9 %", "10 %", "100 %",
    ]  # fmt: skip
    assert [figures.factor(x) for x in (0.00001, 0.1612, 1.0, 10.0, 123.4)] == [
        "×<0.001", "×0.161", "×1", "×10", "×123",
    ]  # fmt: skip


def test_a_band_ignores_values_that_are_unknown():
    lines = np.array([[1.0, 2.0, 3.0, np.nan], [np.nan] * 4, [5.0, np.nan, np.nan, np.nan]])
    low, middle, high = figures._quantiles(lines)
    assert low[[0, 2]].tolist() == [1.0, 5.0]
    assert middle[[0, 2]].tolist() == [2.0, 5.0]
    assert high[[0, 2]].tolist() == [3.0, 5.0]
    assert np.isnan([low[1], middle[1], high[1]]).all()


def test_the_same_figure_is_the_same_file(tmp_path):
    pytest.importorskip("matplotlib")
    for name in ("a.png", "b.png"):
        figure = figures.new_figure(200, 100)
        axes = figure.add_axes((0.2, 0.2, 0.6, 0.5))
        figures.style(axes, "Title", "unit")
        figures.log_axis(axes, np.array([1.0, 100.0]), figures.amount)
        axes.plot([0, 1], [1.0, 100.0])
        figures.label_ends(axes, [figures.EndLabel("up", 100.0, "#000000")])
        figures.save(figure, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
