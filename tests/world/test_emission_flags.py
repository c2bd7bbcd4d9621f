"""Governance's switches of emission: flags of a snapshot, planned days, chance, newcomers, history."""

from datetime import date

import numpy as np
import pytest

from dtao_gym.protocol.institutions import EMISSION_SWITCHES
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config, ConfigError
from dtao_gym.world.history import play, switch_emission

QUIET = {"n_subnets": 10, "arrivals_per_slot_year": 0.0, "spans_per_day": 1}


def netuids(batch: Batch) -> np.ndarray:
    return batch.state.row("stream_id")[0].astype(int)


def test_a_planned_switch_holds_from_its_day_on():
    ids = netuids(Batch(Config.make(QUIET))).tolist()
    switches = [
        {"day": 0, "netuids": ids[:1], "enabled": False},
        {"day": 3, "netuids": ids[1:3], "enabled": False},
        {"day": 6, "netuids": ids[:2], "enabled": True},
    ]
    batch = Batch(Config.make(QUIET, emission_switches=switches))
    paid = []
    for _ in range(8):
        batch.step()
        paid.append(batch.state.row("emission_share")[0] > 0.0)
    days = np.array(paid)
    assert days[:, 0].tolist() == [False] * 6 + [True] * 2
    assert days[:, 1].tolist() == [True] * 3 + [False] * 3 + [True] * 2
    assert days[:, 2].tolist() == [True] * 3 + [False] * 5
    assert days[:, 3:].all()


@pytest.mark.parametrize("era", ["price_burn", "root_reborn"])
def test_a_disabled_subnet_counts_in_demand_and_is_zeroed_last(era):
    ids = netuids(Batch(Config.make(QUIET))).tolist()
    off = [{"day": 0, "netuids": ids[:3], "enabled": False}]
    all_on, some_off = (
        Batch(Config.make(QUIET, era=era, n_subnets=None, emission_switches=switches))
        for switches in ((), off)
    )
    share, left = (b.state.row("emission_share")[0] for b in (all_on, some_off))
    disabled = np.isin(netuids(all_on), ids[:3])
    assert not left[disabled].any()
    kept = share[~disabled]
    assert left[~disabled] == pytest.approx(kept / kept.sum(), rel=1e-12)
    assert some_off.state.worlds["gate_bar"] == all_on.state.worlds["gate_bar"]
    some_off.step()
    assert (
        some_off.state.row("alpha_minted")[0, disabled] > 0.0
    ).all()  # alpha is minted all the same


def test_a_frozen_subnet_follows_the_decisions_of_day_0():
    largest = netuids(Batch(Config.make(QUIET, n_subnets=None)))
    simulated = netuids(Batch(Config.make(QUIET)))
    frozen = [int(n) for n in largest if n not in simulated][:40]
    off = [{"day": 0, "netuids": frozen, "enabled": False}]
    for era in ("price", "price_burn_gate_rank"):
        before, after = (
            Batch(Config.make(QUIET, allocation=era, emission_switches=s)) for s in ((), off)
        )
        assert (after.state.row("emission_share") > before.state.row("emission_share")).all()


def test_chance_switches_off_and_on_by_key():
    rules = {**QUIET, "n_subnets": None, "emission_off_hazard": 0.02, "emission_on_hazard": 0.06}
    batch = Batch(Config.make(rules), 8)
    batch.step(days=150)
    off = 1.0 - batch.state.row("emission_enabled").mean()
    assert off == pytest.approx(0.25, abs=0.04)  # off / on in balance
    again = Batch(Config.make(rules), seeds=[3])
    again.step(days=150)
    assert (again.state.row("emission_enabled")[0] == batch.state.row("emission_enabled")[3]).all()
    assert batch.audit().ok


def test_by_default_governance_only_enables_newcomers():
    busy = {"arrivals_per_slot_year": 12.0, "immunity_days": 0.0, "entry_value_tao": 1e5}
    batch = Batch(Config.make(QUIET, **busy, outside_initial_tao=1e6, governance_days=10.0))
    seen = {}
    for _ in range(60):
        batch.step()
        age = (batch.state.worlds["block"][0] - batch.state.row("registered_block")[0]) / 7200
        young = batch.state.row("registered_block")[0] >= batch.state.worlds["genesis_block"][0]
        for days, enabled in zip(
            age[young], batch.state.row("emission_enabled")[0, young], strict=True
        ):
            seen.setdefault(int(days), set()).add(bool(enabled))
    assert all(values == {days > 10} for days, values in seen.items()), seen


def test_bad_switches_are_refused_by_name():
    ids = netuids(Batch(Config.make(QUIET))).tolist()
    twice = [{"day": d, "netuids": ids[:2], "enabled": False} for d in (3, 9)]
    message = f"emission_switches: got two days on which netuid {ids[0]} is switched off"
    with pytest.raises(ConfigError, match=message):
        Batch(Config.make(QUIET, emission_switches=twice))
    unknown = [{"day": 3, "netuids": [900], "enabled": True}]
    with pytest.raises(
        ConfigError, match="got netuid 900, allowed are those of mainnet-2026-06-14"
    ):
        Batch(Config.make(QUIET, emission_switches=unknown))
    with pytest.raises(ConfigError, match=r"emission_switches.0.day"):
        Config.make(emission_switches=[{"day": -1, "netuids": [1], "enabled": True}])


def test_the_history_switches_as_many_as_root_did():
    config = {"genesis": "mainnet-2026-06-14", "spans_per_day": 1, "arrivals_per_slot_year": 0.0}
    off = {}
    for day, batch in play(config, until=date(2026, 10, 10)):
        off[day] = int((batch.state.row("emission_enabled") == 0.0).sum())
    for day, number in EMISSION_SWITCHES:
        assert off[day] != number  # the day's end before
        assert off[day.fromordinal(day.toordinal() + 1)] == number, day


def test_switches_of_history_keep_their_order_and_leave_waiting_newcomers():
    batch = Batch(Config.make(QUIET, n_subnets=None), 2)
    batch.state.row("registered_block")[:, 5] = batch.state.worlds["block"]
    batch.state.row("emission_enabled")[:, 5] = 0.0
    switch_emission(batch, 0.5)
    many = batch.state.row("emission_enabled") == 0.0
    switch_emission(batch, 0.25)
    few = batch.state.row("emission_enabled") == 0.0
    assert (many | ~few).all()  # those off at last were off before
    assert few[:, 5].all()
    assert (few.sum(1) - 1 == round(0.25 * 127)).all()
    assert (many[0] != many[1]).any()
