"""User-written emission rules: calls from Python and compiled code, and faults."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from numba import njit

import dtao_gym
from dtao_gym.protocol.allocation import NO_REST, Market
from dtao_gym.protocol.plugin_calls import (
    FAULTS,
    FINE,
    NEGATIVE,
    NOT_FINITE,
    RAISED,
    WRONG_LENGTH,
    WRONG_SUM,
    apply_user_rule,
)
from dtao_gym.protocol.plugins import RuleError, allocation_rule, check_shares
from tests.protocol.user_rules import market_of, pays_nothing, square_root

pytestmark = pytest.mark.usefixtures("empty_registry")


REPOSITORY = Path(__file__).parents[2]


# --- a rule that works


def test_rule_remains_a_function_of_python():
    rule = allocation_rule("square_root")(square_root)
    market = market_of()
    expected = np.sqrt(market.moving_price) / np.sqrt(market.moving_price).sum()
    assert rule(market) == pytest.approx(expected, rel=1e-14)
    assert (rule.name, rule.__name__, rule.__doc__) == (
        "square_root",
        "square_root",
        "Pays by the square root of the price.",
    )
    assert rule.import_path == "tests.protocol.user_rules:square_root"
    assert rule.columns == ("moving_price",)


def test_package_exports_the_decorator():
    assert dtao_gym.allocation_rule is allocation_rule
    assert dtao_gym.RuleError is RuleError


def test_every_column_reaches_the_rule_under_its_name():
    market = market_of()
    for name in Market._fields:
        code = f"def f(m):\n  w = m.{name} + 0.0\n  t = np.abs(w).sum()\n  return np.abs(w) / t if t > 0.0 else np.zeros(w.size)"
        space = {"np": np}
        exec(code, space)
        rule = allocation_rule(f"by_{name}")(space["f"])
        out = np.empty(5)
        assert apply_user_rule(rule.address, market, NO_REST, out) == FINE
        column = getattr(market, name)
        assert out == pytest.approx(column / column.sum(), rel=1e-14), name
        assert rule.columns == (name,)


def test_disabled_subnets_get_nothing_and_the_rest_its_share():
    rule = allocation_rule("square_root")(square_root)
    market = market_of()._replace(emission_enabled=np.array([1.0, 0.0, 1.0, 1.0, 0.0]))
    out = np.empty(5)
    assert apply_user_rule(rule.address, market, NO_REST._replace(share=0.25), out) == FINE
    kept = np.sqrt(market.moving_price) * market.emission_enabled
    assert out == pytest.approx(0.75 * kept / kept.sum(), rel=1e-14)
    nobody = market._replace(emission_enabled=np.zeros(5))
    assert apply_user_rule(rule.address, nobody, NO_REST, out) == FINE
    assert not out.any()


def test_rule_may_emit_nothing():
    rule = allocation_rule("nothing")(pays_nothing)
    out = np.ones(5)
    assert apply_user_rule(rule.address, market_of(), NO_REST, out) == FINE
    assert not out.any()


def test_rule_may_call_compiled_functions_and_read_constants():
    rule = allocation_rule("helped")(_helped)
    market = market_of()
    expected = np.minimum(market.signal / market.signal.sum(), _CAP)
    assert rule(market) == pytest.approx(expected / expected.sum(), rel=1e-14)
    assert rule.columns == ("signal",)


_CAP = 0.25


@njit
def _capped(market):
    return np.minimum(market.signal / max(market.signal.sum(), 1e-300), _CAP)


def _helped(market):
    shares = _capped(market)
    total = shares.sum()
    return shares / total if total > 0.0 else shares


@njit(nogil=True)
def _many(address, market, out):
    faults = 0
    for _ in range(2000):
        faults += apply_user_rule(address, market, NO_REST, out)
    return faults


def test_threads_may_call_a_rule_at_once():
    rule = allocation_rule("square_root")(square_root)
    markets = [market_of(n) for n in (3, 20, 64)]
    outs = [np.empty(m.votes.size) for m in markets]
    threads = [
        threading.Thread(target=_many, args=(rule.address, *pair))
        for pair in zip(markets, outs, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for market, out in zip(markets, outs, strict=True):
        alone = np.empty(out.size)
        apply_user_rule(rule.address, market, NO_REST, alone)
        assert np.array_equal(out, alone)
        assert out == pytest.approx(rule(market), rel=1e-14)


# --- faults on later markets


def _late(market):
    shares = np.ones(market.votes.size) / market.votes.size
    mode = market.signal[0]
    if mode == 101.0:
        shares[0] = -shares[0]
    if mode == 102.0:
        shares[0] = np.nan
    if mode == 103.0:
        shares[0] += 1e-8
    if mode == 104.0:
        shares = shares[1:]
    if mode == 105.0:
        raise ValueError("no such market")
    return shares


@pytest.mark.parametrize(
    ("signal", "code", "words"),
    [
        (101.0, NEGATIVE, "negative"),
        (102.0, NOT_FINITE, "not a finite number"),
        (103.0, WRONG_SUM, "neither 1"),
        (104.0, WRONG_LENGTH, "one share per subnet"),
        (105.0, RAISED, "exception"),
    ],
)
def test_fault_in_compiled_code_is_a_code_and_in_python_an_error(monkeypatch, signal, code, words):
    rule = allocation_rule("late")(_late)
    market = market_of(signal=signal)
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    assert apply_user_rule(rule.address, market, NO_REST, np.empty(5)) == code
    assert len(unraisable) == (code == RAISED)
    assert words in FAULTS[code]
    with pytest.raises(
        RuleError, match=r"^rule 'late' (returns|raised ValueError: no such market)"
    ):
        rule(market)


def test_market_for_a_rule_has_columns_of_one_length():
    rule = allocation_rule("square_root")(square_root)
    with pytest.raises(RuleError, match="vectors of one length; got shapes"):
        rule(market_of()._replace(votes=np.zeros(2)))


def test_check_shares():
    check_shares("x", np.array([0.25, 0.75]))
    check_shares("x", np.array([0.25, 0.75 + 5e-10]))
    check_shares("x", np.zeros(3))
    for shares, message in (
        ([0.5, -0.5, 1.0], "returns -0.5 for subnet 2 of 3"),
        ([0.5, np.nan], "returns nan for subnet 2 of 2"),
        ([0.5, 0.5 + 2e-9], "add up to 1.000000002"),
    ):
        with pytest.raises(
            RuleError, match=f"rule 'x' {message}" if message[0] == "r" else message
        ):
            check_shares("x", np.array(shares))


# --- the package


def test_import_of_the_package_does_not_import_numba():
    program = "import sys, dtao_gym; assert 'allocation_rule' in dir(dtao_gym); print('numba' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY
    )
    assert done.stdout.strip() == "False", done.stderr


def test_package_has_no_other_attributes():
    with pytest.raises(
        AttributeError, match="module 'dtao_gym' has no attribute 'allocation_rules'"
    ):
        dtao_gym.allocation_rules  # noqa: B018
