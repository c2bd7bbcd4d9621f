"""Rules that do not end, or that end their process: refused when they are registered, in one line."""

import os
import time

import numpy as np
import pytest
from numba import njit

from dtao_gym.protocol import plugins, trials
from dtao_gym.protocol.plugins import RuleError, allocation_rule
from dtao_gym.protocol.trial_markets import trial_markets
from tests.protocol.user_rules import square_root

pytestmark = [
    pytest.mark.usefixtures("empty_registry"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no forks"),
]


def without_end(market):
    shares = market.moving_price * 0.0
    while shares[0] < 1.0:
        shares[0] -= market.moving_price[0]
    return shares


def without_end_for_many(market):
    k = 0
    while market.votes.size == 128 and k < 3:
        k = (k + 1) % 3
    return np.ones(market.votes.size) / market.votes.size


@njit
def deeper(x, n):
    if n < 0:
        return x
    return 1.0 + deeper(0.5 * x, n + 1) * x


def recursive(market):
    return market.moving_price * deeper(market.moving_price[0] + 1.0, 1)


def refusal(function) -> str:
    with pytest.raises(RuleError) as caught:
        allocation_rule("mine")(function)
    assert "\n" not in str(caught.value)
    assert plugins._RULES == {}
    return str(caught.value)


@pytest.mark.parametrize("function", [without_end, without_end_for_many])
def test_a_rule_without_end_is_refused_after_a_while(monkeypatch, function):
    monkeypatch.setattr(trials, "SECONDS", 1.0)
    assert refusal(function) == "rule 'mine' does not end within 1 s on a trial market"


def test_a_rule_that_calls_itself_without_end_is_refused():
    assert refusal(recursive) == (
        "rule 'mine' ends its process by SIGSEGV on a trial market; does it call itself without end?"
    )


def test_a_rule_that_raises_is_left_to_the_checks_of_its_shares(capfd):
    message = refusal(lambda market: market.votes[np.arange(1000)])
    assert "raised IndexError" in message
    assert capfd.readouterr().err == ""


def test_a_trial_takes_little_time_and_leaves_no_process():
    rule = allocation_rule("square_root")(square_root)
    markets = [market for _, market in trial_markets()]
    start = time.perf_counter()
    assert trials.fault_of_trial(rule.address, markets) is None
    assert time.perf_counter() - start < 2.0
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_where_no_process_can_be_had_there_is_no_trial(monkeypatch):
    def refuse():
        raise OSError("no more processes")

    monkeypatch.setattr(os, "fork", refuse)
    assert allocation_rule("square_root")(square_root).name == "square_root"
