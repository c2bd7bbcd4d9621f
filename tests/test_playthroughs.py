"""Short episodes of each era and role go as they are written down in `tests/playthroughs/`."""

import itertools
import math

import pytest

from dtao_gym.protocol.institutions import ERAS
from tests.playthroughs.rollouts import FOLDER, GENESIS, RENEW, names, text_of


def same(old: str, new: str) -> bool:
    """Whether two words are equal, or numbers that differ in their sixth digit at most."""
    if old == new:
        return True
    try:
        return math.isclose(float(old), float(new), rel_tol=1e-5, abs_tol=1e-10)
    except ValueError:
        return False


def difference(old: str, new: str) -> str | None:
    """The first line that differs, by number, as it was and as it is."""
    lines = itertools.zip_longest(old.splitlines(), new.splitlines(), fillvalue="(nothing)")
    for number, (before, after) in enumerate(lines, start=1):
        one, other = before.split(), after.split()
        if len(one) != len(other) or not all(map(same, one, other)):
            return f"line {number}\n  was {before}\n  is  {after}"
    return None


@pytest.mark.parametrize("name", names())
def test_playthrough_goes_as_written(name):
    found = difference((FOLDER / f"{name}.txt").read_text(encoding="utf-8"), text_of(name))
    if found is not None:
        pytest.fail(f"{name}.txt: {found}\nIf it should: {RENEW} {name}", pytrace=False)


def test_every_era_has_a_genesis_and_no_file_is_left_over():
    assert sorted(era for eras in GENESIS.values() for era in eras) == sorted(ERAS)
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(names())


def test_a_changed_number_is_named_with_its_line():
    was = "price 1.23456 0\nshare 0.5"
    assert difference(was, "price 1.23457 0\nshare 0.5") is None
    assert difference(was, "price 1.2346 0\nshare 0.5").startswith("line 1\n")
    assert difference(was, was + "\nmore").startswith("line 3\n  was (nothing)")
