"""The chain's own numbers against the rules, and the command line on good and bad files."""

import copy
import json
import math
import subprocess
import sys

import pytest

from dtao_gym import conformance
from dtao_gym.conformance import ADAPTERS, check_path, check_vector, main, run_vector
from dtao_gym.conformance_vectors import RULES, VectorError, rules_of
from dtao_gym.protocol.allocation import ALLOCATIONS
from dtao_gym.protocol.coinbase import CHAIN_BOUGHT, INJECTIONS, ROOT_DIVIDENDS
from dtao_gym.protocol.flows import FLOW_EMA_BASE
from dtao_gym.protocol.institutions import ERAS
from dtao_gym.protocol.lifecycle import SEEDINGS
from tests.protocol import golden

VECTORS = golden.load()


def vector_of(name: str) -> dict:
    """A copy that may be changed."""
    return copy.deepcopy(VECTORS[name].content)


def failures_of(name: str, vector: dict) -> list[str]:
    return [str(failure) for failure in check_vector(name.split("/")[0], vector)[0]]


def write(folder, category: str, content) -> str:
    path = folder / f"{category}.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


# --- the rules against the chain


@pytest.mark.parametrize("name", VECTORS)
def test_rule_gives_the_chains_number(name):
    assert failures_of(name, vector_of(name)) == []


def test_every_category_has_vectors():
    assert {name.split("/")[0] for name in VECTORS} == set(ADAPTERS)


WITH_RESERVES = [
    name
    for name, vector in golden.load("full_block").items()
    if "tao_reserve_rao" in vector.expected["subnets"][0]
]


@pytest.mark.parametrize("name", WITH_RESERVES)
def test_a_block_changes_the_reserves_by_as_much_as_on_the_chain(name):
    # a relative tolerance on a whole reserve would let a tenth of the block's change slip through
    vector = VECTORS[name]
    got = run_vector("full_block", vector.content)["subnets"]
    before = {"tao_reserve_rao": "tao", "alpha_reserve_rao": "alpha_in"}
    before["alpha_outstanding_rao"] = "alpha_out"
    for start, mine, theirs in zip(
        vector.inputs["subnets"], got, vector.expected["subnets"], strict=True
    ):
        for field, key in before.items():
            change, expected = mine[field] - start[key], theirs[field] - start[key]
            allowed = max(vector.tolerance["abs"], vector.tolerance["rel"] * abs(expected))
            # the chain buys with whole rao of TAO, one of which is this much alpha
            allowed = max(allowed, 1.0 / theirs["price_before"])
            assert abs(change - expected) <= allowed, field
        spent = mine["tao_in_rao"] + mine.get("excess_tao_rao", 0) - mine["root_tao_rao"]
        assert abs(mine["tao_reserve_rao"] - start["tao"] - spent) <= 3


def test_the_default_average_of_flows_is_the_chains():
    vector = VECTORS["taoflow/default_smoothing_factor"]
    assert vector.inputs["stored_u64"] / (2**63 - 1) == FLOW_EMA_BASE


def numbers_in(value, path=()):
    """Paths to all numbers, but not to true and false."""
    if isinstance(value, dict):
        return [number for key in value for number in numbers_in(value[key], (*path, key))]
    if isinstance(value, list):
        return [
            number for key in range(len(value)) for number in numbers_in(value[key], (*path, key))
        ]
    return [path] if isinstance(value, int | float) and not isinstance(value, bool) else []


@pytest.mark.parametrize("name", VECTORS)
def test_any_wrong_number_is_noticed(name):
    """Every expected number in turn, off by 5 % and more, or a flag turned round."""
    vector = vector_of(name)
    for path in numbers_in(vector["expected"]):
        changed = copy.deepcopy(vector)
        place = changed["expected"]
        for key in path[:-1]:
            place = place[key]
        number = place[path[-1]]
        is_rao = any("_rao" in str(key) for key in path)
        off = 10 if name.startswith("misc") else 3000 if is_rao else 0.1
        place[path[-1]] = number * 1.05 + (off if abs(number) < 1e6 else 0)
        assert failures_of(name, changed), path
    for key, value in vector["expected"].items():
        if isinstance(value, bool):
            changed = copy.deepcopy(vector)
            changed["expected"][key] = not value
            assert failures_of(name, changed), key


def test_a_failure_names_vector_field_and_numbers():
    vector = vector_of("price/median_odd")
    vector["expected"]["median_price"] = 4
    (line,) = failures_of("price/median_odd", vector)
    assert line == "price/median_odd: median_price: got 5.0, expected 4, allowed is +-1e-09"


# --- eras


def test_every_era_of_the_package_is_a_label_with_the_same_rules():
    for name, era in ERAS.items():
        rules = rules_of(name)
        for part in ("allocation", "injection", "root_dividend", "root_gate"):
            assert getattr(rules, part) == getattr(era, part), (name, part)


def test_rules_of_labels_exist():
    for rules in RULES.values():
        assert rules.allocation in ALLOCATIONS
        assert rules.injection in INJECTIONS
        assert rules.chain_bought in CHAIN_BOUGHT
        assert rules.root_dividend in ROOT_DIVIDENDS
        assert rules.seeding in SEEDINGS


@pytest.mark.parametrize(
    ("label", "allocation", "injection", "bought"),
    [
        ("launch", "price", "alpha_emission", "destroyed"),
        ("launch..head", "price_burn", "root_proportion", "protocol"),
        ("all", "price_burn", "root_proportion", "protocol"),
        ("spec320+", "price_burn", "root_proportion", "protocol"),
        ("spec421-424", "price_rootprop", "root_proportion", "protocol"),
        ("subsidy", "price", "subsidy", "destroyed"),
        ("taoflow", "tao_flow", "block_emission", "destroyed"),
        ("taoflow(spec342-361)", "tao_flow", "alpha_emission_bought", "destroyed"),
        ("taoflow(spec362+)", "tao_flow", "block_emission", "destroyed"),
        ("taoflow(spec362+)/netflow", "net_flow", "block_emission", "destroyed"),
        ("netflow(spec413+)", "net_flow", "block_emission", "protocol"),
        ("net_flow", "net_flow", "block_emission", "destroyed"),
        ("price_burn_gate", "price_burn_gate", "root_proportion", "protocol"),
        ("root_reborn", "price_burn_gate_rank", "root_proportion", "protocol"),
        ("spec440", "price_burn_gate", "root_proportion", "protocol"),
        ("spec475", "price_burn_gate_rank", "root_proportion", "protocol"),
    ],
)
def test_labels_of_eras(label, allocation, injection, bought):
    assert rules_of(label)[:3] == (allocation, injection, bought)


def test_an_unknown_era_fails_the_vector_where_the_era_matters():
    with pytest.raises(VectorError, match="era: got 'v9'"):
        rules_of("v9")
    vector = vector_of("subnet_terms/launch_uncapped")
    vector["era"] = "v9"
    assert "era: got 'v9'" in failures_of("subnet_terms/launch_uncapped", vector)[0]


@pytest.mark.parametrize("era", ["launch", "subsidy", "taoflow", "netflow", "spec421-424", "head"])
def test_a_block_runs_under_every_era_and_loses_no_tao(era):
    vector = vector_of("full_block/head_three_subnets")
    for subnet in vector["inputs"]["subnets"]:
        subnet["ema_flow_after_update"] = 1e5
    vector["era"] = era
    got = run_vector("full_block", vector)
    issued = got["tao_issued_rao"]
    assert abs(issued - vector["inputs"]["block_emission_rao"]) <= 6
    for start, after in zip(vector["inputs"]["subnets"], got["subnets"], strict=True):
        entered = after["tao_in_rao"] + after["excess_tao_rao"] - after["root_tao_rao"]
        assert abs(after["tao_reserve_rao"] - start["tao"] - entered) <= 3


def test_the_gate_takes_a_bar_or_a_quantile():
    vector = vector_of("price_shares/head_burn_and_disabled")
    vector["era"], prices = "price_burn_gate", vector["inputs"]["moving_prices"]
    burned = vector["inputs"]["miner_burned"]
    claims = [p * (1 - b) for p, b in zip(prices, burned, strict=True)]
    demand = [claim / sum(claims) for claim in claims]

    def shares(bar):
        weights = [x * x**3 / (x**3 + bar**3) for x in demand[:3]] + [0.0]
        return [weight / sum(weights) for weight in weights]

    assert list(run_vector("price_shares", vector)["shares"]) == pytest.approx(shares(demand[1]))
    vector["inputs"]["gate_bar"] = 0.2
    assert list(run_vector("price_shares", vector)["shares"]) == pytest.approx(shares(0.2))


# --- vectors that are not as they should be


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda v: v["inputs"].update(flux=1), "inputs: unknown flux"),
        (lambda v: v["inputs"].pop("amount_rao"), "inputs: amount_rao is missing"),
        (lambda v: v["inputs"].update(amount_rao="1"), "inputs.amount_rao: got '1'"),
        (lambda v: v["inputs"].update(amount_rao=True), "inputs.amount_rao: got True"),
        (lambda v: v["inputs"].update(amount_rao=-5), "inputs.amount_rao: got -5"),
        (lambda v: v["inputs"].update(amount_rao=1.5), "inputs.amount_rao: got 1.5"),
        (lambda v: v["inputs"].update(amount_rao=10**400), "inputs.amount_rao: got 1000"),
        (lambda v: v["inputs"].update(amount_rao=math.nan), "inputs.amount_rao: got nan"),
        (lambda v: v["inputs"].update(side="up"), "inputs.side: got 'up', allowed is buy or sell"),
        (lambda v: v.update(inputs=[1]), "inputs: got [1], allowed is an object"),
        (lambda v: v.update(expected={}), "expected: got nothing"),
        (lambda v: v["expected"].update(flux=1), "expected: unknown flux"),
        (lambda v: v["expected"].update(fee_rao="62"), "expected.fee_rao: got '62'"),
        (lambda v: v["expected"].update(fee_rao=math.inf), "expected.fee_rao: got inf"),
        (lambda v: v["expected"].update(fee_rao=10**400), "expected.fee_rao: got 1000"),
        (lambda v: v["expected"].update(fee_rao=[62]), "expected.fee_rao: got a list of 1"),
        (lambda v: v["expected"].update(fee_rao={"a": 62}), "expected.fee_rao: got an object"),
        (lambda v: v["expected"].update(fee_rao=True), "fee_rao: got 62, expected True"),
        (lambda v: v["expected"].update(fee_rao=None), "fee_rao: got 62, expected None"),
        (lambda v: v.update(tolerance={"within": 1}), "tolerance: got within = 1"),
        (lambda v: v.update(tolerance={"abs": "1"}), "tolerance: got abs = '1'"),
        (lambda v: v.update(tolerance=3), "tolerance: got 3, allowed is an object"),
        (lambda v: v.update(flux=1), "vector: unknown flux"),
        (lambda v: v.pop("era"), "vector: era missing"),
        (lambda v: v.update(era=5), "era: got 5, allowed is text"),
        (lambda v: v["inputs"].update(quote_weight=1), "inputs.quote_weight: got 1.0"),
    ],
)
def test_a_malformed_vector_fails_with_a_line_and_the_rest_runs(tmp_path, change, line):
    good = vector_of("swap_balancer/swap_basic_1_buy_123456")
    bad = copy.deepcopy(good)
    change(bad)
    report = check_path(write(tmp_path, "swap_balancer", [bad, good, 7]))
    (category,) = report.categories
    assert (category.passed, category.failed, report.exit_code) == (1, 2, 1)
    assert line in str(category.failures[0])
    assert "swap_balancer[2]: vector: got 7" in str(category.failures[1])


def test_inputs_that_a_rule_cannot_take_fail_the_vector_alone():
    vector = vector_of("misc/burn_bump")
    vector["inputs"] = {"burn_rao": 5, "registrations": 1, "target_registrations": 0}
    (line,) = failures_of("misc/burn_bump", vector)
    assert "misc/burn_bump: inputs cannot be computed with: ZeroDivisionError" in line


def test_what_is_optional_may_be_missing():
    vector = vector_of("swap_balancer/swap_basic_1_buy_123456")
    for key in ("source", "kind"):
        del vector[key]
    for key in ("quote_weight", "fee_u16"):
        del vector["inputs"][key]
    del vector["expected"]["price_after"]
    assert failures_of("swap_balancer/swap_basic_1_buy_123456", vector) == []


def test_an_unknown_key_of_a_subnet_is_noticed():
    vector = vector_of("full_block/head_three_subnets")
    vector["inputs"]["subnets"][1]["flux"] = 1
    (line,) = failures_of("full_block/head_three_subnets", vector)
    assert "inputs.subnets[1]: unknown flux" in line


def test_a_tolerance_in_rao_says_nothing_about_a_price():
    vector = vector_of("full_block/launch_random_0")
    vector["expected"]["subnets"][0]["price_after"] *= 1.001
    (line,) = failures_of("full_block/launch_random_0", vector)
    assert "subnets[0].price_after" in line


# --- the command line


def test_all_vectors_of_the_chain_pass(capsys):
    assert main([str(golden.FOLDER)]) == 0
    shown = capsys.readouterr()
    assert "full_block" in shown.out
    assert "tolerance" in shown.out
    assert shown.err == ""


def test_a_failure_is_shown_and_the_exit_code_is_one(tmp_path, capsys):
    vector = vector_of("price/median_odd")
    vector["expected"]["median_price"] = 4
    assert (
        main([write(tmp_path, "price", [vector, vector_of("price/median_even_zero_ignored")])]) == 1
    )
    shown = capsys.readouterr().out
    assert "price/median_odd: median_price: got 5.0, expected 4, allowed is +-1e-09" in shown


@pytest.mark.parametrize(
    ("category", "content", "line"),
    [
        ("price", "[{", "price.json: "),
        ("price", "{}", "content: got dict, allowed is a list of vectors"),
        ("flux", "[]", "category: got 'flux' (the file's name), allowed are "),
        ("price", '"\udcff"', "price.json: "),
    ],
)
def test_what_cannot_be_read_is_named_and_the_exit_code_is_two(
    tmp_path, capsys, category, content, line
):
    path = tmp_path / f"{category}.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    good = write(tmp_path, "block_emission", [vector_of("block_emission/halving_01")])
    assert main([str(path), good]) == 2
    shown = capsys.readouterr()
    assert line in shown.err
    assert "block_emission" in shown.out


def test_missing_paths_and_empty_folders_cannot_be_read(tmp_path, capsys):
    assert main([str(tmp_path / "nowhere.json")]) == 2
    assert "nowhere.json" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 2
    assert "without *.json" in capsys.readouterr().err


def test_without_paths_the_packaged_vectors_run(capsys):
    assert main(["--json"]) == 0
    categories = json.loads(capsys.readouterr().out)["categories"]
    assert {c["category"] for c in categories} == {p.stem for p in golden.FOLDER.glob("*.json")}


def test_consensus_is_skipped_with_its_reason(tmp_path, capsys):
    write(tmp_path, "yuma", [{"name": "weighted_median"}])
    assert main([str(tmp_path)]) == 0
    assert "skipped: consensus" in " ".join(capsys.readouterr().out.split())
    (category,) = check_path(tmp_path).categories
    assert (category.passed, category.failed) == (0, 0)
    assert category.skipped == conformance.SKIPPED["yuma"]


def test_the_report_as_json(tmp_path, capsys):
    vector = vector_of("block_emission/halving_01")
    vector["expected"]["block_emission_rao"] = 1
    assert main([write(tmp_path, "block_emission", [vector]), "--json"]) == 1
    content = json.loads(capsys.readouterr().out)
    assert content["exit_code"] == 1
    assert content["unreadable"] == []
    (category,) = content["categories"]
    assert (category["category"], category["passed"], category["failed"]) == (
        "block_emission",
        0,
        1,
    )
    assert category["worst_error"] is None
    (failure,) = category["failures"]
    assert failure["vector"] == "block_emission/halving_01"
    assert (failure["field"], failure["got"], failure["expected"], failure["allowed"]) == (
        "block_emission_rao",
        10**9,
        1,
        0,
    )


def test_the_module_runs_from_a_shell():
    command = [sys.executable, "-W", "error", "-m", "dtao_gym.conformance"]
    done = subprocess.run(
        [*command, str(golden.FOLDER / "alpha_emission.json"), "--json"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["categories"][0]["passed"] == 4
    assert (
        subprocess.run([*command, "nowhere.json"], capture_output=True, timeout=300).returncode == 2
    )
