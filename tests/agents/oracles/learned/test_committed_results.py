"""Committed results belong to the committed settings, and their verdicts are true."""

import json

import numpy as np
import pytest
from dtao_agents.oracles.learned.builders import market_config
from dtao_agents.oracles.learned.runs import check_learned, results_path
from dtao_agents.oracles.learned.settings import FOLDER, configured, read
from dtao_agents.oracles.table import NUMBERS
from dtao_agents.roles.builder_policies import closed_form_logit

from dtao_gym.economy import closed_forms
from dtao_gym.economy.builder_theory import Technology, discount_with_hazard
from dtao_gym.economy.technology import discount_per_day

FILES = configured()
LEARNED = {"O6", "O7", "O10", "O10b", "O11", "O11b", "O12c", "O13b", "O14", "O14b", "O17", "O24"}


def results(name):
    return json.loads(results_path(name).read_text())


def test_every_learned_oracle_has_a_configuration():
    cases = [case for path in FILES.values() for case in read(path).cases]
    assert {case.id for case in cases} == LEARNED | {"calibration"}
    learned = {(case.id, name) for case in cases for name in case.numbers if name is not None}
    tabled = {(id, each.setting) for id in LEARNED - {"O7"} for each in NUMBERS[id]}
    threshold = ("O17", "research project, discount above which it starts: at K = 0")
    assert tabled - learned == {threshold}  # both sides of the threshold are learned, .7 and .8


def test_there_are_no_other_results():
    assert {path.stem for path in (FOLDER / "results").iterdir()} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_results_belong_to_the_committed_settings(name):
    settings, committed = read(FILES[name]), results(name)
    assert committed["config_hash"] == settings.hash()
    algorithms = [each for each in ("ppo", "cem") if getattr(settings, each) is not None]
    wanted = {
        (case.id, *answer, algorithm, seed)
        for case in settings.cases
        for answer in case.expected_numbers()
        if answer is not None
        for algorithm in algorithms
        for seed in range(len(settings.starts))
    }
    numbers = committed["numbers"]
    got = [(n["id"], n["setting"], n["expected"], n["algorithm"], n["seed"]) for n in numbers]
    assert len(got) == len(set(got)) == len(wanted)
    assert set(got) == wanted


@pytest.mark.parametrize("name", FILES)
def test_committed_verdicts_follow_from_the_tolerances(name):
    committed = results(name)
    checks = [
        check_learned(n["id"], n["setting"], n["expected"], n["got"]) for n in committed["numbers"]
    ]
    for check, number in zip(checks, committed["numbers"], strict=True):
        assert (check.tolerance, check.measure) == (number["tolerance"], number["measure"])
        assert check.ok == number["holds"], number
    assert (committed["holds"], committed["of"]) == (sum(check.ok for check in checks), len(checks))


def test_tolerances_are_those_of_learned_numbers():
    assert check_learned("calibration", "fee arm", 0.5, 0.549).ok
    assert not check_learned("calibration", "fee arm", 0.5, 0.551).ok
    assert check_learned("O6", "fee", 0.0243, 0.06).ok
    assert not check_learned("O6", "fee", 0.0243, 0.061).ok
    assert check_learned("O14", "Merton", 0.3, 0.349).ok
    assert not check_learned("O14", "Merton", 0.3, 0.351).ok
    name = "influence, uninformed, part of the budget: hype .5"
    assert not check_learned("O24", name, 1 / 14, 1.03 / 14).ok
    value, starts = NUMBERS["O17"][0], NUMBERS["O17"][4]
    assert not check_learned("O17", value.setting, value.number, 1.011 * value.number).ok
    assert not check_learned("O17", starts.setting, 1110.0, 1100.0).ok
    zero = NUMBERS["O12c"][3]
    assert check_learned("O12c", zero.setting, 0.0, 2.9).ok
    assert not check_learned("O12c", zero.setting, 0.0, 3.0).ok


def test_expected_shares_of_the_fee_arm_are_closed_forms():
    settings = read(FILES["calibration"])
    for case in settings.cases:
        config = market_config(settings.parameters | case.parameters)
        share = 1.0 / (1.0 + np.exp(-closed_form_logit(config)))
        assert case.expected[0] == pytest.approx(share, abs=5e-5)


def test_delays_at_constant_returns_lie_within_a_tenth_of_the_longest():
    settings = read(FILES["O7"])
    for case in settings.cases:
        given = settings.parameters | case.parameters
        technology = Technology(
            short_productivity=1.0,
            research_productivity=given["research_productivity"],
            spillover=given.get("spillover", 0.0),
        )
        discount = given.get("discount", discount_per_day(0.20))
        discount = discount_with_hazard(discount, given.get("hazard", 0.0))
        longest = closed_forms.longest_delay(technology, discount)
        assert case.expected[0] == float(given["delay_days"] < longest)
        if longest > 0.0:
            assert 0.09 < abs(given["delay_days"] / longest - 1.0) <= 0.1
        else:
            assert given["delay_days"] == 0
