"""Halving: how much is minted at every issuance."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dtao_gym.conformance_vectors import SUPPLY_RAO, tokens
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY, SUPPLY_CAP, emission_per_block

THRESHOLDS_RAO = [SUPPLY_RAO // 2**k for k in range(1, 20)]


def near_a_halving():
    """Remaining supply, in rao, within a few rao of a threshold."""
    return st.builds(int.__add__, st.sampled_from(THRESHOLDS_RAO), st.integers(-3, 3))


@given(st.integers(1, SUPPLY_RAO) | near_a_halving())
@example(1)
@example(SUPPLY_RAO)
def test_halvings_are_where_the_formula_has_them_to_the_rao(remaining_rao):
    # h is the largest with 2**h remaining <= 21 million, in integers
    halvings = (SUPPLY_RAO // remaining_rao).bit_length() - 1
    assert emission_per_block(tokens(remaining_rao)) == 2.0**-halvings


@pytest.mark.parametrize("remaining", [0.0, -0.0, -1.0, -21e6, -1e-300])
def test_nothing_is_minted_once_nothing_remains(remaining):
    assert emission_per_block(remaining) == 0.0


@pytest.mark.parametrize("remaining", [SUPPLY_CAP, np.nextafter(SUPPLY_CAP, 1e9), 2 * SUPPLY_CAP])
def test_a_fresh_supply_mints_one_token_and_no_more(remaining):
    assert emission_per_block(remaining) == 1.0


@pytest.mark.parametrize("remaining", [5e-324, 1e-300, 1e-9])
def test_the_last_dust_is_minted_at_a_finite_rate(remaining):
    assert 0.0 < emission_per_block(remaining) <= 2 * max(remaining / SUPPLY_CAP, 1e-300)


def test_a_span_never_mints_more_than_remains():
    # twice the emission of a whole day at once, pool and participants: the cap holds without a check
    remaining = SUPPLY_CAP
    for _ in range(20_000):
        minted = 2 * BLOCKS_PER_DAY * emission_per_block(remaining)
        assert minted < remaining
        remaining -= minted
    assert remaining < 1.0
