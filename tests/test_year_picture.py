"""The animated picture of the README: what it shows, how large it is, by which rule its world was chosen."""

from itertools import combinations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")
pytest.importorskip("PIL")

from PIL import Image

from scripts import build_year


@pytest.fixture(scope="module")
def short() -> build_year.Scene:
    return build_year.scene(worlds=3, horizon_days=12)


def test_a_short_version_has_its_size_and_frames(short, tmp_path):
    for name in ("a.webp", "a.gif"):
        path = tmp_path / name
        assert build_year.build(path, short, days_per_frame=5) == 4  # days 0, 5, 10 and 12
        with Image.open(path) as picture:
            assert (picture.size, picture.n_frames) == ((800, 450), 4)
            frames = []
            for k in range(4):
                picture.seek(k)
                frames.append(np.asarray(picture.convert("RGB")))
        for one, two in combinations(frames, 2):
            assert (one != two).any()
        assert all((frame[:3] > 250).all() for frame in frames)  # an opaque white ground
    with Image.open(tmp_path / "a.webp") as picture:
        assert picture.info["loop"] == 0


def test_players_share_the_world_and_keep_their_books(short):
    years = short.years
    assert set(years) == set(build_year.NAMES)
    for year in years.values():
        assert year.wealth.shape == (13,)
        assert year.weights.shape == (13, 17)
        assert year.weights.sum(1) == pytest.approx(1.0)
    nothing, market = years["do_nothing"], years["market_weight"]
    assert (nothing.weights[:, 0] > 0.999).all()
    assert nothing.wealth[-1] > nothing.wealth[0]  # the dividends of root
    assert market.weights[-1, 0] < 0.5
    assert len({float(year.wealth[0]) for year in years.values()}) == 1


def test_the_world_is_the_median_of_the_learned_staker(short):
    role = build_year.agent_role("staker")
    _, content = build_year.read_published(build_year.POLICY)
    config = role.evaluation_task(build_year.TaskConfig.make(content["world"], horizon_days=12))
    learned = build_year.load_policy(build_year.POLICY)
    final = build_year.play(learned, config, range(3)).values["final_wealth"]
    assert short.years["learned"].wealth[-1] == pytest.approx(np.median(final), rel=1e-12)
    assert f"Evaluation seed {int(np.argsort(final, kind='stable')[1])}:" in short.note


def year(*wealth: float, root: float = 1.0) -> build_year.Year:
    weights = np.tile([root, 1.0 - root], (len(wealth), 1))
    return build_year.Year(np.array(wealth), weights)


@pytest.mark.parametrize(
    ("learned", "text"),
    [
        (year(100.0, 105.0), "leaves its TAO in root: +5.0%, the same as doing nothing"),
        (year(100.0, 126.0, root=0.5), "moves TAO between root and subnets: +26.0%, 20.0% more than doing"),
        (year(100.0, 84.0, root=0.5), "moves TAO between root and subnets: -16.0%, 20.0% less than doing"),
    ],
)  # fmt: skip
def test_the_title_says_what_happened(learned, text):
    years = {"learned": learned, "do_nothing": year(100.0, 105.0)}
    assert text in build_year.finding(years)


def test_the_committed_picture_is_animated_and_small():
    path = build_year.PICTURE
    assert path.stat().st_size < 2_000_000
    with Image.open(path) as picture:
        assert picture.size == (800, 450)
        assert picture.n_frames == 365 // build_year.DAYS_PER_FRAME + 1
