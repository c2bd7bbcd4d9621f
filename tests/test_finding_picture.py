"""The picture of the finding shows the committed records, and its title follows from them."""

import json

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("torch")
pytest.importorskip("PIL")

from PIL import Image

from scripts import build_finding_picture as picture
from tests.figure_texts import check_texts


def contrast(institution: str, estimate, verdict: str, setting="direct, pruning, fast", **more):
    return {
        "family": "crowding out", "institution": institution, "setting": setting,
        "estimate": estimate, "verdict": verdict,
    } | more  # fmt: skip


def written(tmp_path, *contrasts) -> picture.Finding:
    content = {"contrasts": list(contrasts), "plan": {"smallest_effect": 0.2}}
    (tmp_path / "results.json").write_text(json.dumps(content))
    return picture.read_finding(tmp_path)


def test_the_committed_picture_shows_the_committed_records():
    with Image.open(picture.PICTURE) as image:
        assert image.size[0] == 800
        assert image.info["Description"] == picture.read_finding().digest()


def test_rows_are_those_of_the_main_setting_largest_first(tmp_path):
    found = written(
        tmp_path,
        contrast("price", [0.1, 0.0, 0.2], "undecided"),
        contrast("price", [0.4, 0.3, 0.5], "supported", "alpha, pruning, fast"),
        contrast("price", [9.0, 9.0, 9.0], "supported", "direct, pruning, fast, type_sd 1.0"),
        contrast("tao_flow", None, "supported"),
        contrast("root_vote", [0.5, 0.4, 0.6], "supported"),
        contrast("price", [1.0, 0.9, 1.1], "supported", family="remedy"),
    )
    assert [row.institution for row in found.rows] == ["root_vote", "price", "tao_flow"]
    assert found.rows[1].others == (0.4,)
    assert found.setting == "direct, pruning, fast"
    assert picture.title(found) == (
        "2 of 3 emission rules crowd out long-term research; 1 undecided"
    )


@pytest.mark.parametrize(
    ("verdicts", "title"),
    [
        (["supported"], "1 of 1 emission rules crowd out long-term research"),
        (
            ["refuted", "undecided"],
            "1 of 2 emission rules do not crowd out long-term research; 1 un",
        ),
        (["void"], "Whether emission rules crowd out long-term research is undecided for all 1"),
        (["supported", "refuted", "refuted"], "research; 2 do not"),
    ],
)
def test_the_title_counts_the_verdicts(tmp_path, verdicts, title):
    rows = [contrast(f"rule_{k}", [0.0, -1.0, 1.0], word) for k, word in enumerate(verdicts)]
    assert title in picture.title(written(tmp_path, *rows))


def test_the_hash_changes_with_a_number_and_not_with_rounding(tmp_path):
    one = written(tmp_path, contrast("price", [0.1, 0.0, 0.2], "undecided"))
    near = written(tmp_path, contrast("price", [0.1 + 1e-9, 0.0, 0.2], "undecided"))
    far = written(tmp_path, contrast("price", [0.11, 0.0, 0.2], "undecided"))
    assert one.digest() == near.digest() != far.digest()


def test_texts_do_not_overlap_and_lie_within_the_picture():
    check_texts(picture.draw(picture.read_finding()))


def test_a_folder_without_contrasts_is_refused(tmp_path):
    with pytest.raises(ValueError, match="got no contrast of 'crowding out'"):
        written(tmp_path)
