"""No alpha, and not TAO, has more than 21 million tokens: from every packaged state, under the rules of every era."""

import numpy as np
import pytest

from dtao_gym.protocol.institutions import ERAS
from dtao_gym.protocol.issuance import SUPPLY_CAP
from dtao_gym.protocol.lifecycle import median_price
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.snapshot import SNAPSHOT_NAMES
from tests.world.test_registrations import EAGER, until_registration
from tests.world.toy import assert_sound


@pytest.mark.parametrize("arrivals", [{}, EAGER], ids=["default", "busy"])
@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("genesis", SNAPSHOT_NAMES)
def test_no_supply_passes_its_cap_in_a_year(genesis, era, arrivals):
    batch = Batch(Config.make(arrivals, genesis=genesis, era=era))
    assert batch.parameters["halving"] == 1
    for _ in range(73):
        batch.step(days=5)
        assert_sound(batch)
        supply = batch.state.row("alpha_reserve") + batch.state.row("alpha_outstanding")
        assert supply.max() <= SUPPLY_CAP
        assert batch.state.worlds["chain_issuance"][0] <= SUPPLY_CAP
    if arrivals and ERAS[era].pruning:
        assert batch.state.worlds["registrations"][0] > 30


def test_a_lock_that_would_buy_more_alpha_than_there_can_be_buys_all():
    rich = EAGER | {"entry_lock_tao": 1e5, "outside_initial_tao": 1e7, "lock_interval_days": 365.0}
    batch = Batch(Config.make(rich, seeding="median_price"))
    slot, before, _ = until_registration(batch)
    state = batch.state
    lock = state.row("lock_tao")[0, slot]
    others = np.delete(before.row("spot_price")[0], slot)
    assert lock / median_price(others) > 1.5 * SUPPLY_CAP
    assert state.row("alpha_reserve")[0, slot] == state.row("alpha_genesis")[0, slot] == SUPPLY_CAP
    assert state.row("spot_price")[0, slot] == pytest.approx(lock / SUPPLY_CAP, rel=1e-12)
    assert state.row("tao_reserve")[0, slot] == lock
    assert_sound(batch)
