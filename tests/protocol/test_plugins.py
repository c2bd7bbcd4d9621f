"""Rules that users write: registration, errors and their messages, calls from compiled code."""

import re
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
from numba import njit

import dtao_gym
from dtao_gym.protocol import plugins
from dtao_gym.protocol.allocation import ALLOCATIONS, NO_REST, USER_RULE, Market, Rest
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
from dtao_gym.protocol.plugins import (
    RuleError,
    allocation_id,
    allocation_rule,
    check_shares,
    resolve,
)

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _no_rules(monkeypatch):
    monkeypatch.setattr(plugins, "_RULES", {})


def market_of(n: int = 5, **changed) -> Market:
    """A market whose columns are all different."""
    random = np.random.default_rng(n)
    columns = {name: random.uniform(0.1, 0.9, n) for name in Market._fields}
    columns["emission_enabled"] = np.ones(n)
    return Market(**columns | {k: np.broadcast_to(float(v), n) for k, v in changed.items()})


def square_root(market):
    """Pays by the square root of the price."""
    weight = np.sqrt(market.moving_price)
    total = weight.sum()
    return weight / total if total > 0.0 else weight


# --- a rule that works


def test_rule_is_still_a_function_of_python():
    rule = allocation_rule("square_root")(square_root)
    market = market_of()
    expected = np.sqrt(market.moving_price) / np.sqrt(market.moving_price).sum()
    assert rule(market) == pytest.approx(expected, rel=1e-14)
    assert (rule.name, rule.__name__, rule.__doc__) == (
        "square_root",
        "square_root",
        "Pays by the square root of the price.",
    )
    assert rule.import_path == f"{__name__}:square_root"
    assert rule.columns == ("moving_price",)


def test_package_exports_the_decorator():
    assert dtao_gym.allocation_rule is allocation_rule
    assert dtao_gym.RuleError is RuleError


def test_every_column_arrives_where_it_belongs():
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
    assert apply_user_rule(rule.address, market, Rest(0.0, 0.0, 0.0, 0.0, 0.25), out) == FINE
    kept = np.sqrt(market.moving_price) * market.emission_enabled
    assert out == pytest.approx(0.75 * kept / kept.sum(), rel=1e-14)
    nobody = market._replace(emission_enabled=np.zeros(5))
    assert apply_user_rule(rule.address, nobody, NO_REST, out) == FINE
    assert not out.any()


def test_rule_may_emit_nothing():
    rule = allocation_rule("nothing")(_nothing)
    out = np.ones(5)
    assert apply_user_rule(rule.address, market_of(), NO_REST, out) == FINE
    assert not out.any()


def _nothing(market):
    return np.zeros(market.votes.size)


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


# --- functions that registration refuses


def refused(function, name: str = "mine") -> str:
    """The one line with which a function is refused."""
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
def test_function_that_does_not_compile_gives_its_own_line(function, line, message):
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
def test_what_a_function_returns_must_be_shares(expression, message):
    space = {"np": np}
    exec(f"def f(market):\n    return {expression}", space)
    assert message in refused(space["f"])


def test_user_flow_that_is_negative_is_found_out():
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


def test_decorator_without_a_name_says_how_to_give_one():
    with pytest.raises(RuleError, match=r'got no name; .*@allocation_rule\("my_rule"\)'):
        allocation_rule(square_root)


@pytest.mark.parametrize("name", ALLOCATIONS)
def test_name_of_a_built_in_rule_is_refused(name):
    with pytest.raises(RuleError, match=f"rule '{name}' is built in"):
        allocation_rule(name)


def test_name_belongs_to_who_took_it_first():
    first = allocation_rule("mine")(square_root)
    with pytest.raises(RuleError, match=r"rule 'mine' is registered already, by .*:square_root \("):
        allocation_rule("mine")(_nothing)
    assert resolve("mine") is first


def test_function_that_is_defined_again_replaces_itself():
    space = {"np": np, "__name__": "notebook"}
    exec("def f(m): return np.ones(m.votes.size) / m.votes.size", space)
    first = allocation_rule("mine")(space["f"])
    exec("def f(m): return np.zeros(m.votes.size)", space)
    second = allocation_rule("mine")(space["f"])
    assert resolve("mine") is second
    out = np.empty(4)
    assert apply_user_rule(first.address, market_of(4), NO_REST, out) == FINE  # still there
    assert out.tolist() == [0.25] * 4


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
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    assert apply_user_rule(rule.address, market, NO_REST, np.empty(5)) == code
    assert len(seen) == (code == RAISED)
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


# --- names and import paths


def test_ids():
    rule = allocation_rule("square_root")(square_root)
    assert allocation_id("square_root") == (USER_RULE, rule.address)
    assert {name: allocation_id(name) for name in ALLOCATIONS} == {
        name: (number, 0) for name, number in ALLOCATIONS.items()
    }
    assert rule.address != 0


MODULE = """\
import numpy as np
import dtao_gym

@dtao_gym.allocation_rule("{name}")
def decorated(market):
    return np.ones(market.votes.size) / market.votes.size

def plain(market):
    return np.zeros(market.votes.size)

def broken(market):
    return market.nothing

number = 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Name of a module on the path, fresh for each test."""
    name = f"rules_of_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE.format(name="equal_parts"))
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def test_import_path_finds_rules_and_functions(module):
    rule = resolve(f"{module}:decorated")
    assert rule.name == "equal_parts"
    assert resolve("equal_parts") is rule
    assert resolve(rule.import_path) is rule
    plain = resolve(f"{module}:plain")
    assert plain.name == f"{module}:plain"
    assert resolve(f"{module}:plain") is plain
    assert allocation_id(f"{module}:plain") == (USER_RULE, plain.address)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "nope",
            r"unknown emission rule 'nope'; allowed are uniform, .*root_vote, or the import path",
        ),
        (
            "nowhere.at.all:f",
            r"importing nowhere.at.all failed: ModuleNotFoundError: No module named",
        ),
        ("{}:nothing", r"module .* has no 'nothing'"),
        ("{}:number", r"got a int; a function is needed"),
        ("{}:broken", r"does not compile: .*\.py:12: Unknown attribute 'nothing'"),
        ("{}:", r"an import path is package.module:function"),
        (":f", r"an import path is package.module:function"),
        ("a b:f", r"an import path is package.module:function"),
    ],
)
def test_import_path_that_leads_nowhere(module, path, message):
    with pytest.raises(RuleError, match=message) as caught:
        allocation_id(path.format(module))
    assert "\n" not in str(caught.value)


def test_module_that_fails_when_it_is_imported(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "fails_at_import.py").write_text("raise OSError('no\\nroom')")
    with pytest.raises(RuleError, match="importing fails_at_import failed: OSError: no room"):
        resolve("fails_at_import:f")
    (tmp_path / "refused_at_import.py").write_text(MODULE.format(name="price"))
    with pytest.raises(RuleError, match=r"^rule 'price' is built in"):
        resolve("refused_at_import:plain")


def test_other_process_finds_the_rule_by_its_import_path(module, tmp_path):
    program = f"""
        import numpy as np
        from dtao_gym.protocol.allocation import NO_REST, Market
        from dtao_gym.protocol.plugins import allocation_id, apply_user_rule
        number, address = allocation_id("{module}:decorated")
        out = np.empty(4)
        assert apply_user_rule(address, Market(*np.ones((11, 4))), NO_REST, out) == 0
        print(number, out.tolist())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={"PYTHONPATH": f"{REPOSITORY}:{tmp_path}", "HOME": str(tmp_path)},
    )
    assert done.stdout.strip() == f"{USER_RULE} [0.25, 0.25, 0.25, 0.25]", done.stderr


def test_import_of_the_package_is_light():
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
