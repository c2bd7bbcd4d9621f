"""Registration of user-written emission rules: refused functions and names, and the messages."""

import re
from pathlib import Path

import numpy as np
import pytest

from dtao_gym.protocol import plugins
from dtao_gym.protocol.allocation import ALLOCATIONS, NO_REST
from dtao_gym.protocol.plugin_calls import FINE, apply_user_rule
from dtao_gym.protocol.plugins import RuleError, allocation_rule, resolve
from tests.protocol.user_rules import market_of, pays_nothing, square_root

pytestmark = pytest.mark.usefixtures("empty_registry")


def refused(function, name: str = "mine") -> str:
    """The message of the refusal, in one line."""
    with pytest.raises(RuleError) as caught:
        allocation_rule(name)(function)
    message = str(caught.value)
    assert "\n" not in message
    assert "\x1b" not in message
    assert len(message) < 400
    assert message.startswith(f"rule {name!r}")
    assert name not in plugins._RULES
    return message


def _unknown_column(market):
    total = market.spot_price.sum()
    return market.price / total


def _unknown_name(market):
    return not_there * market.moving_price  # noqa: F821  # pyright: ignore


def _bad_call(market):
    return np.median(market.moving_price, axis="a")


def _two_types(market):
    if market.moving_price.sum() > 0.0:
        return market.moving_price
    return 0.0


def _plain_helper(market):
    return square_root(market)


def _in_place(market):
    market.moving_price[0] = 1.0
    return market.moving_price


def _with_file(market):
    with open("x") as file:
        file.read()
    return market.moving_price


@pytest.mark.parametrize(
    ("function", "line", "message"),
    [
        (
            _unknown_column,
            2,
            r"Unknown attribute 'price' of type Market; it has moving_price, spot",
        ),
        (_unknown_name, 1, r"name 'not_there' is not defined"),
        (_bad_call, 1, r"median\(.*axis.*unexpected keyword argument 'axis'"),
        (_two_types, None, r"Can't unify return type .* float64, 1-dimensional float64 array"),
        (_plain_helper, 1, r"Untyped global name 'square_root'"),
        (_in_place, 1, r"setitem.*cannot be changed in place: copy first"),
        (_with_file, None, r"'with .* is not supported"),
    ],
)
def test_error_of_a_function_that_does_not_compile_names_its_line(function, line, message):
    text = refused(function)
    code = function.__code__
    last = max(n for _, _, n in code.co_lines() if n)
    lines = [code.co_firstlineno + line] if line else range(code.co_firstlineno, last + 1)
    assert any(f"does not compile: {_shown(code.co_filename)}:{n}: " in text for n in lines), text
    assert re.search(message, text), text


def _shown(file: str) -> str:
    path = Path(file)
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file


def test_changing_a_column_with_an_operator_is_refused():
    def scaled(market):
        shares = market.moving_price
        shares *= 2.0
        return shares

    assert "cannot be changed in place" in refused(scaled)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("1.0", "returns float64; a float64 array with one share per subnet is needed"),
        ("[1.0]", r"returns list(float64)<iv=None>; a float64 array"),
        ("np.zeros(market.votes.size, np.float32)", "returns 1-dimensional float32 array; a"),
        ("np.zeros((market.votes.size, 1))", "returns 2-dimensional float64 array; a float64"),
        ("np.zeros(3)", "returns 3 shares for 1 subnets (on a drawn market of one subnet)"),
        (
            "market.moving_price / market.moving_price.sum()",
            "returns nan for subnet 1 of 3 (nan, nan, nan) on a market of 3 subnets whose prices are",
        ),
        ("-np.ones(market.votes.size)", "returns -1 for subnet 1 of 1 (-1) on a drawn market of one"),
        ("np.full(market.votes.size, 0.5)", "returns shares that add up to 0.5 (0.5) on a drawn"),
        ("np.full(market.votes.size, np.inf)", "returns inf for subnet 1 of 1 (inf)"),
        ("np.random.dirichlet(np.ones(market.votes.size))", "returns other shares when asked again"),
        (
            "np.array([market.votes[k] for k in range(5)])",
            "raised IndexError: index is out of bounds",
        ),
    ],
)  # fmt: skip
def test_return_value_must_be_shares(expression, message):
    space = {"np": np}
    exec(f"def f(market):\n    return {expression}", space)
    assert message in refused(space["f"])


def test_rule_that_is_wrong_for_negative_user_flow_is_refused():
    def by_flow(market):
        total = market.user_flow_ema.sum()
        return market.user_flow_ema / total if total != 0.0 else np.zeros(market.votes.size)

    assert "returns -" in refused(by_flow)


def test_function_must_take_the_market_alone():
    assert "the function takes (market, cap)" in refused(lambda market, cap: market)
    assert "the function takes (*markets)" in refused(lambda *markets: markets)
    assert "got a int; a function is needed" in refused(3)


@pytest.mark.parametrize("name", ["", "two words", "a-b", "1st", "a.b", "a:b", 3, None])
def test_name_must_be_an_identifier(name):
    with pytest.raises(RuleError, match="a rule needs a name of letters, digits and underscores"):
        allocation_rule(name)


def test_decorator_without_a_name_explains_how_to_give_one():
    with pytest.raises(RuleError, match=r'got no name; .*@allocation_rule\("my_rule"\)'):
        allocation_rule(square_root)


@pytest.mark.parametrize("name", ALLOCATIONS)
def test_name_of_a_built_in_rule_is_refused(name):
    with pytest.raises(RuleError, match=f"rule '{name}' is built in"):
        allocation_rule(name)


def test_registered_name_cannot_be_taken_by_another_function():
    first = allocation_rule("mine")(square_root)
    with pytest.raises(RuleError, match=r"rule 'mine' is registered already, by .*:square_root \("):
        allocation_rule("mine")(pays_nothing)
    assert resolve("mine") is first


def test_redefined_function_replaces_its_rule():
    space = {"np": np, "__name__": "notebook"}
    exec("def f(m): return np.ones(m.votes.size) / m.votes.size", space)
    first = allocation_rule("mine")(space["f"])
    exec("def f(m): return np.zeros(m.votes.size)", space)
    second = allocation_rule("mine")(space["f"])
    assert resolve("mine") is second
    out = np.empty(4)
    assert apply_user_rule(first.address, market_of(4), NO_REST, out) == FINE  # still there
    assert out.tolist() == [0.25] * 4
