"""Finished units on disk."""

import numpy as np
import pytest
from dtao_agents.cache import Store, key_of, source_of_rule


def test_a_unit_comes_back_as_it_was(tmp_path):
    store = Store(tmp_path)
    arrays = {"draws": np.arange(3.0)}
    store.save("price, direct", "k" * 64, {"share": 0.1}, arrays)
    record, found = store.load("price, direct", "k" * 64)
    assert record == {"share": 0.1}
    assert np.array_equal(found["draws"], arrays["draws"])


def test_what_is_missing_cut_off_or_of_other_inputs_is_not_found(tmp_path):
    store = Store(tmp_path)
    assert store.load("cell", "a" * 64) is None
    store.save("cell", "a" * 64, {}, {"x": np.ones(2)})
    assert store.load("cell", "a" * 16 + "b" * 48) is None
    for suffix in (".npz", ".json"):
        store.save("cell", "a" * 64, {}, {"x": np.ones(2)})
        path = next(tmp_path.glob(f"*{suffix}"))
        path.write_bytes(path.read_bytes()[:20])
        assert store.load("cell", "a" * 64) is None


def test_the_key_depends_on_every_part_and_not_on_their_order():
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    assert key_of({"a": 1, "b": 2}) != key_of({"a": 1, "b": 3})


@pytest.mark.parametrize(
    ("rule", "known"), [("price", False), ("tests.agents.probe.rules:by_price", True)]
)
def test_the_file_of_a_users_rule_counts(rule, known):
    assert bool(source_of_rule(rule)) == known
