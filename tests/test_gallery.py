"""The pictures of the documentation are those that their commands draw, and all of them are in the gallery."""

import re

import numpy as np
import pytest

pytest.importorskip("PIL")
pytest.importorskip("matplotlib")

from PIL import Image

from scripts import build_pictures
from scripts.build_pictures import COMMANDS, EPISODES, IMAGES, ROOT

GALLERY = (ROOT / "docs" / "gallery.md").read_text()


@pytest.mark.parametrize("name", EPISODES)
def test_the_committed_picture_of_an_episode_is_the_one_that_is_drawn(name):
    with Image.open(IMAGES / f"{name}.png") as picture:
        committed = np.asarray(picture.convert("RGB")).astype(int)
    drawn = EPISODES[name]().astype(int)
    assert committed.shape == drawn.shape
    assert (
        np.abs(committed - drawn).mean() < 1.0
    )  # another release of matplotlib moves a text by a pixel
    other = EPISODES["builder" if name != "builder" else "episode"]().astype(int)
    assert np.abs(committed - other).mean() > 2.0


def test_the_gallery_shows_every_picture_with_a_text_and_its_command():
    shown = re.findall(r"!\[([^\]]{20,})\]\(images/([^)]+)\)", GALLERY)
    assert sorted(name for _, name in shown) == sorted(path.name for path in IMAGES.iterdir())
    for command in COMMANDS.values():
        assert f"`python -m {command} --plot " in GALLERY
    assert f"build_pictures.py {' '.join(EPISODES)}`" in GALLERY


def test_pictures_are_small_enough_for_a_page():
    for path in IMAGES.iterdir():
        assert path.stat().st_size < 2_000_000, path.name
        with Image.open(path) as picture:
            assert 800 <= picture.size[0] <= 1400, path.name


def test_a_picture_can_be_named(monkeypatch, tmp_path):
    monkeypatch.setattr(build_pictures, "IMAGES", tmp_path)
    monkeypatch.setattr("sys.argv", ["build_pictures.py", "rules"])
    build_pictures.main()
    with Image.open(tmp_path / "rules.png") as picture:
        assert picture.size == (1210, 528)
