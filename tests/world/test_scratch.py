"""Working rows under several names: what one view writes, the view of the same memory reads."""

import numpy as np
import pytest

from dtao_gym.compiling import kernel
from dtao_gym.views import RowsType
from dtao_gym.world.scratch import N_SCRATCH, VIEWS, news_draws, production_rows


@kernel
def _pass_between_views(scratch, copy):
    """Write a row under one name, read it under another, and write it again under the first."""
    today, draws = production_rows(scratch), news_draws(scratch)
    for i in range(copy.size):
        today.luck[i] = 1.0 + i
    for i in range(copy.size):
        copy[i] = draws.volatility_shock[i]
    for i in range(copy.size):
        today.luck[i] = -1.0


def test_a_view_reads_what_another_view_of_the_same_memory_wrote():
    scratch, copy = np.zeros((N_SCRATCH, 13)), np.zeros(13)
    _pass_between_views(scratch, copy)
    assert copy.tolist() == [1.0 + i for i in range(13)]
    assert (scratch[0] == -1.0).all()


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_rows_of_one_number_have_one_type_and_others_another(view):
    kinds = [RowsType(view, "scratch").row(name) for name in view._fields]
    first = [RowsType(VIEWS[0], "scratch").row(name) for name in VIEWS[0]._fields]
    assert kinds == first[: len(kinds)]
    assert len(set(kinds)) == len(kinds) <= N_SCRATCH
