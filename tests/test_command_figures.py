"""The pictures of `dtao rules`, `dtao history` and `python -m dtao_gym.realism`: texts that can be read, true titles."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from dtao_gym import figures, history_figure, rules_figure
from dtao_gym.colours import colour_of
from dtao_gym.comparison import compare_rules
from dtao_gym.history import MEASURES, MeasureSummary
from dtao_gym.realism import figure as realism_figure
from dtao_gym.realism.gate import LevelComparison, MomentComparison, Realism
from dtao_gym.realism.moments import MOMENTS
from dtao_gym.realism.panel import Panel
from dtao_gym.world.config import ConfigError
from tests.figure_texts import check_texts

SEPTEMBER = "mainnet-2026-09-06"


@pytest.fixture
def drawn(monkeypatch) -> list:
    """Figures that are saved."""
    saved: list = []
    monkeypatch.setattr(figures, "save", lambda figure, path: saved.append(figure))
    return saved


# --- rules


@pytest.mark.parametrize("names", [(SEPTEMBER,), (SEPTEMBER, "mainnet-2026-06-14")])
def test_texts_of_the_picture_of_rules(names, drawn):
    rules_figure.draw([compare_rules(snapshot=name) for name in names], 20, Path("x.png"))
    (figure,) = drawn
    check_texts(figure)
    assert tuple(figure.bbox.size) == (1210, 528 * len(names))


def test_rules_are_named_in_their_colours_and_the_title_is_the_largest_difference(drawn):
    comparison = compare_rules(["uniform", "price", "price_burn_gate"], SEPTEMBER)
    rules_figure.draw([comparison], 5, Path("x.png"))
    labels = drawn[0].axes[1].get_yticklabels()
    assert [(t.get_text(), t.get_color()) for t in labels] == [
        (name, colour_of(name)) for name in comparison.rules
    ]
    part = dict(zip(comparison.rules, comparison.top5_share, strict=True))
    assert drawn[0].texts[0].get_text() == (
        f"The five best-paid subnets get {100 * part['uniform']:.1f} % of the emission under uniform, "
        f"{100 * part['price_burn_gate']:.0f} % under price_burn_gate"
    )
    assert "tao_flow" not in rules_figure.headline(comparison)


def test_a_snapshot_without_any_pay_has_a_title():
    comparison = compare_rules(["tao_flow"], SEPTEMBER)
    assert rules_figure.headline(comparison) == "No rule pays any subnet"


# --- history


def rows(n: int, chain: float = 1.0) -> dict[date, dict[str, MeasureSummary]]:
    start = date(2025, 2, 14)
    return {
        start + timedelta(days=k): {
            m.name: MeasureSummary(chain if k % 2 else np.nan, 0.9, 0.5, 1.5) for m in MEASURES
        }
        for k in range(n)
    }


@pytest.mark.parametrize("n", [1, 2, 300])
def test_texts_of_the_picture_of_history(n, drawn):
    history_figure.draw(rows(n), 16, Path("x.png"))
    check_texts(drawn[0])


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (rows(10), "The chain lies within the range of simulated worlds on 100 % of its days"),
        (
            rows(10, chain=1.6),
            "The chain lies within the range of simulated worlds on 0 % of its days",
        ),
        (rows(1), "No day of the chain's data was simulated"),
    ],
)
def test_the_title_of_history_counts_days_within_the_range(content, text):
    assert history_figure.headline(content) == text


def test_units_and_titles_cover_the_measures():
    names = {measure.name for measure in MEASURES}
    assert set(history_figure.UNITS) == set(history_figure.TITLES) == names
    assert set(history_figure.LOG) | set(history_figure.SHARES) < names


# --- realism


def comparison(z: dict[str, float]) -> Realism:
    moments = {
        name: MomentComparison(1.0, 0.1, 1.0, 0.1, z.get(name, 0.5), (0.0, 2.0), True)
        for name in MOMENTS
    }
    levels = {"price_sum": LevelComparison(1.0, 1.0, "0.5 to 2")}
    return Realism("spring-2026", moments, 5.0, len(moments), levels, 2, 5, 3)


def panel(seed: int, tao: bool = True) -> Panel:
    rng = np.random.default_rng(seed)
    price = np.exp(0.05 * rng.standard_t(3, (56, 30)).cumsum(0))
    return Panel(price, np.exp(rng.uniform(5, 12, (56, 30))) if tao else None)


@pytest.mark.parametrize("tao", [True, False])
def test_texts_of_the_picture_of_realism(tao, drawn):
    first, second = list(MOMENTS)[:2]
    found = comparison({first: -31.4, second: np.nan})
    realism_figure.draw(found, panel(0, tao), [panel(1, tao), panel(2, tao)], Path("x.png"))
    check_texts(drawn[0])
    n = len(MOMENTS)
    assert drawn[0].texts[0].get_text() == (
        f"{n - 2} of {n - 1} moments of daily prices lie within two standard errors of the chain's; "
        f"{n} of {n} gates pass"
    )
    assert drawn[0].axes[0].get_title("left") == "1 moments are far from the chain's"


def test_panels_without_a_complete_subnet_can_be_drawn(drawn):
    holed = panel(0).price.copy()
    holed[20] = np.nan
    realism_figure.draw(comparison({}), Panel(holed), [Panel(holed)], Path("x.png"))
    assert drawn[0].axes[0].get_title("left") == "No moment is far from the chain's"


# --- all


@pytest.mark.parametrize("name", ["x/y.png", "x.unknown"])
def test_a_file_that_cannot_be_written_is_named(name, tmp_path):
    with pytest.raises(ConfigError, match=f"--plot .*{name}"):
        history_figure.draw(rows(4), 2, tmp_path / name)
