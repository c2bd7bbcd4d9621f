"""The chain's history: schedules of eras, worlds played through them, and the command that prints them."""

import csv
import dataclasses
import itertools
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from dtao_gym.protocol.institutions import ERAS, HISTORY, Period
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config, ConfigError
from dtao_gym.world.cross_section import median_volatility
from dtao_gym.world.history import (
    GENESIS_ONLY,
    LAUNCH,
    PRESET,
    Record,
    Schedule,
    play,
    preset,
    record,
)
from dtao_gym.world.snapshot import Snapshot
from tests.world.toy import arrays, snapshot

REPOSITORY = Path(__file__).resolve().parents[2]
QUICK = {"spans_per_day": 2}
"""A cheaper schedule: the chain's own has 240 spans a day in its first weeks."""


def quickly(periods=HISTORY) -> list[Period]:
    return [dataclasses.replace(p, changes={**p.changes, "spans_per_day": 2}) for p in periods]


# --- the state of the first day


def test_launch_is_the_state_in_which_pools_began():
    launch = Snapshot.named(LAUNCH)
    assert launch.date == "2025-02-13"
    assert launch.netuid.tolist() == list(range(1, 65))
    for column in ("tao_reserve", "alpha_reserve", "spot_price"):
        assert (getattr(launch, column) == 1.0).all()
    assert not launch.alpha_outstanding.any()
    assert launch.moving_price.sum() == pytest.approx(1.0, abs=1e-12)
    assert (launch.registered_block < launch.block).all()
    # as old as its netuid implies, except for a few netuids that were reused before the launch
    order = np.argsort(launch.registered_block)
    assert np.corrcoef(order, np.arange(64))[0, 1] > 0.7
    # the price file of the next day is of block 4925837, 16:00 UTC
    assert (4_925_837 - launch.block) / 300 == pytest.approx(19.75, abs=0.1)


def test_untouched_pools_fall_to_the_price_that_equal_shares_and_sales_give():
    """Without anybody's trades a pool is E in and root's alpha out: p = (E - s p) / (1 + s), so p = E / (1 + 2 s)."""
    nobody = {
        "trade_speed": 0.0, "revenue_share": 0.0, "owner_sale_fraction": 0.0,
        "miner_sale_fraction": 0.0, "validator_sale_fraction": 0.0, "arrivals_per_slot_year": 0.0,
    }  # fmt: skip
    *_, (_, batch) = play(nobody, until=date(2025, 2, 15))
    sold = 0.5 * (1 - Config().owner_cut)  # root's part while there is next to no alpha
    price, share = batch.state.row("spot_price")[0, :64], batch.state.row("emission_share")[0, :64]
    assert np.median(price / share) == pytest.approx(1 / (1 + 2 * sold), rel=0.03)
    assert price.sum() == pytest.approx(1 / (1 + 2 * sold), rel=0.03)


# --- schedules


def test_the_chains_own_schedule_is_sound_and_in_force_on_its_dates():
    schedule = Schedule.make()
    assert schedule.since == date(2025, 2, 13)
    for before, after in itertools.pairwise(HISTORY):
        assert schedule.period(after.since) is after
        assert schedule.period(after.since - timedelta(days=1)) is before
    for era in ERAS.values():
        if era.name != "pre_dtao":
            assert min(p.since for p in HISTORY if p.era == era.name) == date.fromisoformat(
                era.since
            )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "schedule: got no periods, allowed is one or more"),
        ({"since": "2025-02-13"}, "schedule: got dict, allowed is a list of periods"),
        (["launch"], "schedule, period 1: got str, allowed is a mapping with since and era"),
        ([{"era": "launch"}], "schedule, period 1: since: missing"),
        ([{"since": "2025-02-13"}], "schedule, period 1: era: missing"),
        (
            [{"since": "13.2.2025", "era": "launch"}],
            "schedule, period 1: since: got '13.2.2025', allowed is a date such as 2025-02-13",
        ),
        (
            [{"since": date(2025, 3, 1), "era": "launch"}, {"since": date(2025, 2, 1), "era": "subsidy"}],
            "schedule, period 2: since: got 2025-02-01, allowed is a date after 2025-03-01, "
            "when the period before begins",
        ),
        (
            [{"since": date(2025, 3, 1), "era": "launch"}, {"since": date(2025, 3, 1), "era": "subsidy"}],
            "schedule, period 2: since: got 2025-03-01, allowed is a date after 2025-03-01, "
            "when the period before begins",
        ),
        (
            [
                {"since": date(2025, 3, 1), "until": date(2025, 3, 10), "era": "launch"},
                {"since": date(2025, 3, 12), "era": "subsidy"},
            ],
            "schedule, period 1: until: got 2025-03-10, allowed is 2025-03-12, "
            "when the next period begins (a gap)",
        ),
        (
            [
                {"since": date(2025, 3, 1), "until": date(2025, 3, 20), "era": "launch"},
                {"since": date(2025, 3, 12), "era": "subsidy"},
            ],
            "schedule, period 1: until: got 2025-03-20, allowed is 2025-03-12, "
            "when the next period begins (periods overlap)",
        ),
        (
            [{"since": date(2025, 3, 1), "until": date(2025, 3, 1), "era": "launch"}],
            "schedule, period 1: until: got 2025-03-01, allowed is a date after 2025-03-01",
        ),
        ([{"since": date(2025, 3, 1), "era": "lunch"}], "schedule, period 1: era: got 'lunch'"),
        (
            [{"since": date(2025, 3, 1), "era": "launch", "pool_fees": 0.0}],
            "schedule, period 1: pool_fees: unknown parameter, got 0.0; did you mean 'pool_fee'?",
        ),
        (
            [{"since": date(2025, 3, 1), "era": "launch", "pool_fee": 2}],
            "schedule, period 1: pool_fee: got 2",
        ),
        (
            [{"since": date(2025, 3, 1), "era": "launch", "empty_slots": 2}],
            "schedule, period 1: empty_slots: cannot change in a period; give it to play",
        ),
    ],
)  # fmt: skip
def test_bad_schedules_are_refused_in_one_line(given, message):
    with pytest.raises(ConfigError) as error:
        Schedule.make(given)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_schedule_is_read_from_yaml(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "- since: 2025-02-13\n  era: launch\n  pool_fee: 0.001\n"
        "- since: '2025-03-01'\n  until: 2025-04-01\n  era: price_burn\n"
    )
    schedule = Schedule.make(path)
    assert schedule.periods == (
        Period(date(2025, 2, 13), "launch", {"pool_fee": 0.001}),
        Period(date(2025, 3, 1), "price_burn", {}),
    )
    assert schedule.until == date(2025, 4, 1)
    path.write_text("- since: [")
    with pytest.raises(ConfigError, match=r"mine\.yaml: cannot be read as YAML"):
        Schedule.make(path)
    path.write_text("- since: 2025-02-30\n  era: launch\n")
    with pytest.raises(ConfigError, match=r"cannot be read as YAML|since: got"):
        Schedule.make(path)


def test_parameters_of_one_period_are_those_of_the_base_again_in_the_next():
    schedule = Schedule.make(
        [Period(date(2025, 2, 13), "launch", {"pool_fee": 0.005, "trade_speed": 0.5}),
         Period(date(2025, 2, 20), "subsidy")]
    )  # fmt: skip
    first, second = schedule.configs(Config(pool_fee=0.002))
    assert (first.pool_fee, first.trade_speed) == (0.005, 0.5)
    assert (second.pool_fee, second.trade_speed) == (0.002, Config().trade_speed)
    assert (
        Schedule.make([Period(date(2025, 2, 13), "subsidy")]).configs(Config())[0].pool_fee is None
    )


def test_pools_cannot_come_while_a_world_is_played():
    schedule = [Period(date(2024, 1, 1), "pre_dtao"), Period(date(2025, 2, 13), "launch")]
    with pytest.raises(ConfigError, match=r"eras without pools .* cannot follow each other"):
        play(schedule=schedule, until=date(2025, 3, 1))


def test_what_only_genesis_reads_is_known_to_the_configuration():
    assert set(GENESIS_ONLY) <= set(Config.model_fields)
    assert set(PRESET) <= set(Config.model_fields)


# --- playing


def test_preset_gives_way_to_what_is_set_and_to_another_genesis():
    assert preset().genesis == LAUNCH
    assert preset().dilution is False
    assert preset({"dilution": True, "empty_slots": 3}).dilution is True
    june = {"genesis": "mainnet-2026-06-14"}
    assert preset(june) == Config.make(june)


def test_play_is_what_setting_parameters_by_hand_gives(tmp_path):
    base = Config.make(QUICK, genesis=snapshot(tmp_path), trade_speed=0.2, n_stakers=0)
    periods = [
        Period(date(2025, 2, 13), "launch", {"trade_speed": 0.9, "arrivals_per_slot_year": 12.0}),
        Period(date(2025, 2, 16), "tao_flow"),
        Period(date(2025, 2, 18), "price_burn_gate", {"root_claim_hazard": 1.0}),
    ]
    days = list(play(base, periods, until=date(2025, 2, 21), n_worlds=2))
    assert [day for day, _ in days] == [date(2025, 2, 13) + timedelta(days=k) for k in range(9)]
    played = days[-1][1]

    mine = Batch(Config.make(base, era="launch", **periods[0].changes), 2)
    mine.step(days=3)
    back = {"trade_speed": 0.2, "arrivals_per_slot_year": Config().arrivals_per_slot_year}
    mine.set_parameters(era="tao_flow", **back)
    mine.step(days=2)
    mine.set_parameters(era="price_burn_gate", root_claim_hazard=1.0)
    mine.step(days=3)
    assert arrays(played) == arrays(mine)
    assert played.configs[0].era == "price_burn_gate"


def test_the_chains_rules_are_taken_from_the_date_of_the_snapshot_on():
    config = {"genesis": "mainnet-2026-06-14", "n_subnets": 4, **QUICK}
    eras = [b.configs[0].era for _, b in play(config, until=date(2026, 7, 18))]
    # 14 to 23 June: a period's rules are set before its first day
    assert eras[:10] == ["net_flow"] * 10
    assert eras[10:33] == ["price_rootprop"] * 23
    assert eras[33:] == ["price_burn"] * 2


def test_dates_that_are_not_covered_are_refused_at_the_call():
    with pytest.raises(ConfigError, match="until: got None, allowed is a date"):
        play()
    with pytest.raises(ConfigError, match="until: got 2025-02-12, allowed is from 2025-02-13"):
        play(until=date(2025, 2, 12))
    ended = Schedule((Period(date(2025, 2, 13), "launch"),), date(2025, 3, 1))
    with pytest.raises(ConfigError, match="allowed is from 2025-02-13 to 2025-03-01"):
        play(QUICK, ended, until=date(2025, 3, 2))
    with pytest.raises(ConfigError, match="got 2025-03-01 to start on"):
        ended.starting(date(2025, 3, 1))
    assert [
        day
        for day, _ in play(QUICK, Schedule.make(quickly(ended.periods)), until=date(2025, 2, 14))
    ]


def test_conserved_through_all_eras_with_newcomers_and_dissolutions():
    busy = {"arrivals_per_slot_year": 12.0, "entry_value_tao": 5000.0, "immunity_days": 30.0}
    eras = set()
    for day, batch in play(busy, quickly(), until=date(2026, 9, 20), n_worlds=2):
        eras.add(batch.configs[0].era)
        if day.day == 1:
            checked = batch.audit(1e-9)
            assert checked.ok, (day, checked)
    assert batch.audit(1e-9).ok
    assert eras == set(ERAS) - {"pre_dtao"}
    assert (batch.state.worlds["registrations"] > 64).all()
    assert (batch.state.worlds["dissolutions"] > 10).all()
    assert (batch.state.worlds["block_emission"] == 0.5).all()  # halved in December 2025


def test_tao_is_halved_in_the_middle_of_december_2025():
    halved = [
        day
        for day, batch in play(QUICK, quickly(), until=date(2025, 12, 31))
        if batch.state.worlds["block_emission"][0] == 0.5
    ]
    assert abs(halved[0] - date(2025, 12, 15)) <= timedelta(
        days=5
    )  # TAO that nobody may use is recycled


# --- records


def test_a_record_keeps_prices_of_started_subnets_and_their_daily_means():
    played = record(QUICK, quickly(), until=date(2025, 2, 20), n_worlds=2)
    days = [day for day, _ in play(QUICK, quickly(), until=date(2025, 2, 20), n_worlds=2)]
    assert list(played.dates) == days
    assert played.price.shape == (8, 2, 128)
    assert np.isnan(played.price[:, :, 127]).all()
    assert (played.price[0, :, :64] == 1.0).all()
    # the first day begins at a price that is none
    assert played.mean_price[1, 0, 5] == played.price[1, 0, 5]
    assert played.mean_price[3, 1, 5] == 0.5 * (played.price[2, 1, 5] + played.price[3, 1, 5])
    measures = played.cross_sections(date(2025, 2, 20))
    assert measures.price_sum[1] == pytest.approx(np.nansum(played.mean_price[-1, 1]))
    assert (played.root_share > 0.9).all()
    assert (played.root_share < 1.0).all()


def test_volatility_of_a_record_is_that_of_its_daily_means():
    dates = tuple(date(2025, 3, 1) + timedelta(days=k) for k in range(61))
    random = np.random.default_rng(1)
    price = 0.01 * np.exp(random.normal(0.0, 0.1, (61, 2, 30)).cumsum(0))
    played = Record(dates, price, np.ones((61, 2)))
    expected = median_volatility(0.5 * (price[20:60, 1] + price[21:61, 1]))
    assert played.volatility(dates[21], dates[60])[1] == pytest.approx(expected)


# --- the command


def command(*options: str, module: str = "dtao_gym.history") -> subprocess.CompletedProcess:
    arguments = [sys.executable, "-m", module, *options]
    return subprocess.run(arguments, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_the_command_prints_chain_and_worlds_and_writes_files(tmp_path):
    table, picture = tmp_path / "days.csv", tmp_path / "days.png"
    done = command(
        "--until", "2025-02-20", "--worlds", "2", "--csv", str(table), "--plot", str(picture)
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 100
    row = next(line for line in done.stdout.splitlines() if line.startswith("2025-02-20"))
    assert row.split()[1] == "67"
    assert picture.read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["date"] for row in rows] == [f"2025-02-{day}" for day in range(14, 21)]
    assert float(rows[0]["price_sum_chain"]) == pytest.approx(2.163, abs=1e-3)
    assert rows[1]["price_sum_chain"] == ""
    assert float(rows[1]["price_sum_p5"]) <= float(rows[1]["price_sum_mean"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--until", "soon"), "error: --until: got 'soon'"),
        (("--until", "2024-01-01"), "error: until: got 2024-01-01, allowed is from 2025-02-13"),
        (("--worlds", "0"), "error: --worlds: got 0"),
        (("--schedule", "none.yaml"), "error: none.yaml: is missing"),
    ],
)
def test_the_command_refuses_in_one_line(options, message):
    done = command(*options)
    assert done.returncode != 0
    assert done.stderr.startswith(message)
    assert len(done.stderr.strip().splitlines()) == 1
