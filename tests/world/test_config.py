"""Configurations: what is accepted, and that every refusal is one line with the field, what was got and what is allowed."""

import math
import re

import numpy as np
import pytest
import yaml

from dtao_gym.envs.task import TaskConfig
from dtao_gym.protocol.institutions import ERAS
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config, ConfigError
from dtao_gym.world.parameters import PARAMETERS_DTYPE, Parameters, parameters
from dtao_gym.world.snapshot import SnapshotError


def refusal(*args, **overrides) -> str:
    """The message of a configuration that is refused."""
    with pytest.raises(ConfigError) as caught:
        Config.make(*args, **overrides)
    message = str(caught.value)
    assert "\n" not in message, message
    return message


# --- refusals


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        # wrong type
        ("tao_weight", "a lot", "a valid number"),
        ("tao_weight", [0.1], "a valid number"),
        ("tao_weight", None, "a valid number"),
        ("n_subnets", 4.5, "a valid integer"),
        ("horizon_days", None, "a valid integer"),
        ("halving", "maybe", "a valid boolean"),
        ("era", 3, "a valid string"),
        # out of range
        ("tao_weight", 1.01, "less than or equal to 1"),
        ("tao_weight", -0.01, "greater than or equal to 0"),
        ("n_subnets", 0, "greater than or equal to 1"),
        ("n_subnets", 129, "less than or equal to 128"),
        ("n_stakers", -1, "greater than or equal to 0"),
        ("world_seed", -1, "greater than or equal to 0"),
        ("world_seed", 2**63, "less than 9223372036854775808"),
        ("ruin_fraction", 0.0, "greater than 0"),
        ("pool_fee", 0.011, "less than or equal to 0.01"),
        ("moving_price_base", 1e-2, "less than or equal to 0.001"),
        ("validator_take", 0.19, "less than or equal to 0.1799"),
        # not a number
        ("tao_weight", math.nan, "a finite number"),
        ("wealth_tao", math.inf, "a finite number"),
        ("initial_treasury_tao", -math.inf, "a finite number"),
        # names
        ("era", "lunch", "are launch, launch_v3, net_flow, pre_dtao"),
        ("injection", "some", "are alpha_emission, alpha_emission_bought"),
        ("chain_bought", "sold", "are destroyed, protocol"),
        ("root_dividend", "kept", "are claimable, fund_curated, fund_in_place, sold, tao"),
        ("seeding", "free", "are median_price, minimum"),
        ("prune_key", "age", "are moving_price, share"),
        ("root_validators", 65, "less than or equal to 64"),
        ("root_gate", "shut", "'chain' or 'open'"),
        ("split", "test", "'train' or 'evaluation'"),
        ("selection", "smallest", "'largest' or 'sample'"),
        ("execution", "vwap", "'first_span' or 'twap'"),
        # spans
        ("spans_per_day", 7, "are divisors of 7200"),
        ("spans_per_day", 0, "greater than or equal to 1"),
        ("spans_per_day", 7201, "less than or equal to 7200"),
    ],
)
def test_a_bad_value_is_refused_by_field_value_and_what_is_allowed(field, value, allowed):
    message = refusal(**{field: value})
    assert re.match(rf"{field}: got {re.escape(repr(value))}, allowed", message), message
    assert allowed in message


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("trade_sped", "trade_speed"), ("n_subnet", "n_subnets"), ("tao_wait", "tao_weight")],
)
def test_a_misspelt_parameter_is_told_the_right_name(wrong, right):
    message = f"{wrong}: unknown parameter, got 0.5; did you mean {right!r}?"
    assert refusal({wrong: 0.5}) == message
    assert refusal(**{wrong: 0.5}) == f"{message} (unexpected keyword argument {wrong!r})"


def test_an_unknown_parameter_is_not_told_a_name_that_has_nothing_to_do_with_it():
    assert refusal({"xyzzy": 1}) == "xyzzy: unknown parameter, got 1"


@pytest.mark.parametrize("make", [Config.make, TaskConfig.make])
def test_an_unknown_keyword_is_a_type_error_as_of_any_function(make):
    with pytest.raises(TypeError, match="unexpected keyword argument 'frameskip'") as caught:
        make(frameskip=1)
    assert isinstance(caught.value, ConfigError)
    with pytest.raises(ConfigError) as caught:
        make({"frameskip": 1})
    assert not isinstance(caught.value, TypeError)


@pytest.mark.parametrize("value", [True, np.True_, "1", b"1", np.str_("1"), bytearray(b"1")])
@pytest.mark.parametrize("field", ["tao_weight", "n_subnets", "gate_rank", "pool_fee"])
def test_only_numbers_are_numbers(field, value):
    noun = "number" if field in ("tao_weight", "pool_fee") else "integer"
    assert refusal(**{field: value}) == (
        f"{field}: got {value!r}, allowed: should be a valid {noun}"
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"genesis_age_days": (True, 200.0)},
        {"genesis_age_days": ["150", 200.0]},
        {"validator_top5": np.array(["0.1"] * 5)},
        {"emission_switches": [{"day": True, "netuids": [1], "enabled": False}]},
        {"emission_switches": [{"day": 1, "netuids": ["1"], "enabled": False}]},
        {"curated_funds": [{"part": True, "weights": dict.fromkeys(range(1, 17), 1.0)}]},
        {"curated_funds": [{"part": 1.0, "weights": dict.fromkeys(range(1, 17), True)}]},
        {"curated_funds": [{"part": 1.0, "weights": {str(k): 1.0 for k in range(1, 17)}}]},
    ],
)
def test_only_numbers_are_numbers_in_parts_of_a_configuration(fields):
    assert re.search(r"allowed: should be a valid (number|integer)", refusal(**fields))


@pytest.mark.parametrize("one", [1, np.int64(1), np.float32(1.0), np.float64(1.0), np.array(1.0)])
def test_numbers_of_all_kinds_are_numbers(one):
    config = Config.make(tao_weight=one, n_subnets=one, genesis_age_days=np.array([150, 200]))
    assert (config.tao_weight, config.n_subnets) == (1.0, 1)
    assert config.genesis_age_days == (150.0, 200.0)


def test_a_message_is_short_however_large_the_value():
    assert len(refusal(era="x" * 10**6)) < 1000
    assert len(refusal(tao_weight="x" * 10**6)) < 1000
    assert len(refusal(tao_weight=[[0.0] * 1000] * 1000)) < 1000
    assert len(refusal(world_seed=10**5000)) < 1000
    assert len(refusal({"x" * 10**6: "y" * 10**6})) < 1000
    many = refusal({f"unknown_{k}": k for k in range(1000)})
    assert len(many) < 2000
    assert many.endswith("; 990 more problems")


@pytest.mark.parametrize("name", ["revenue_share", "outside_return"])
def test_an_amount_is_divided_by_0_or_by_no_tiny_number(name):
    assert refusal(**{name: 1e-7}) == f"{name}: got 1e-07, allowed are 0 and from 1e-06"
    assert getattr(Config.make(**{name: 0.0}), name) == 0.0


def test_all_problems_are_named_at_once():
    message = refusal(tao_weight=2, n_subnets=0, sped=1)
    assert all(f"{field}: " in message for field in ("tao_weight", "n_subnets", "sped"))


@pytest.mark.parametrize("config", [5, 0.5, ["price_burn"], ("era", "launch")])
def test_only_mappings_files_and_configs_are_configurations(config):
    assert f"got {type(config).__name__}, allowed are Config, dict" in refusal(config)


def test_an_error_in_an_override_leaves_the_original_usable():
    config = Config.make(tao_weight=0.1)
    refusal(config, tao_weight=2)
    assert config.tao_weight == 0.1


# --- files


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"got NoneType, allowed is a mapping"),
        ("- era\n- launch\n", r"got list, allowed is a mapping"),
        ("launch", r"got str, allowed is a mapping"),
        ("tao_weight: .nan", r"tao_weight: got nan, allowed"),
        ("tao_wait: 0.1", r"did you mean 'tao_weight'\?"),
        ("1: 2", r"1: got 1, allowed: keys should be strings"),
    ],
)
def test_a_file_with_the_wrong_content_is_refused(tmp_path, text, message):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert re.search(message, refusal(path))


@pytest.mark.parametrize("text", ["era: [launch\n", "a: b: c", "era: !!python/name:os.system"])
def test_a_file_that_is_no_yaml_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert f"{path}: cannot be read as YAML" in refusal(path)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xff\xfe\x81\x00")
    assert f"{path}: cannot be read as YAML" in refusal(path)


def test_a_file_or_folder_that_cannot_be_read_is_refused(tmp_path):
    assert f"{tmp_path / 'nowhere.yaml'}: is missing" in refusal(tmp_path / "nowhere.yaml")
    assert f"{tmp_path}: cannot be read as YAML" in refusal(tmp_path)


@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["text", "path"])
def test_a_file_is_read_and_overridden(tmp_path, kind):
    path = tmp_path / "config.yaml"
    path.write_text("era: launch\nspans_per_day: 24\ntao_weight: 0.1\n")
    config = Config.make(kind(path), tao_weight=0.2)
    assert (config.era, config.spans_per_day, config.tao_weight) == ("launch", 24, 0.2)


def test_a_configuration_survives_yaml(tmp_path):
    config = Config.make(
        era="launch",
        world_seed=2**63 - 1,
        moving_price_base=1 - 2 ** (-1 / 3000),
        outside_initial_tao=1 / 3,
        n_subnets=5,
        halving=False,
        allocation="uniform",
    )
    path = tmp_path / "config.yaml"
    for dumped in (config.model_dump(), config.model_dump(exclude_unset=True)):
        path.write_text(yaml.safe_dump(dumped))
        again = Config.make(path)
        assert again == config
        assert np.array_equal(parameters(again), parameters(config))


# --- eras and overrides


def test_a_configuration_is_fixed():
    with pytest.raises(ValueError, match="frozen"):
        Config().tao_weight = 0.1


def test_make_without_changes_is_the_configuration():
    config = Config.make(era="launch", tao_weight=0.1)
    assert Config.make(config) == config
    assert Config.make({"era": "launch", "tao_weight": 0.1}) == config
    assert Config.make(era="launch", tao_weight=0.1) == config


def test_an_override_replaces_one_field_only():
    config = Config.make(era="launch", tao_weight=0.1)
    changed = Config.make(config, tao_weight=0.3)
    assert changed.tao_weight == 0.3
    assert changed.model_dump(exclude={"tao_weight"}) == config.model_dump(exclude={"tao_weight"})


PARTS = ["allocation", "injection", "root_dividend", "root_gate"]
PARTS += ["pool_fee", "flat_fee_tao", "min_order_tao"]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_the_eras_unless_given(era, part):
    assert Config(era=era).era_part(part) == getattr(ERAS[era], part)
    given = {"allocation": "uniform", "injection": "root_proportion", "root_dividend": "sold"}
    given |= {"root_gate": "open"} | dict.fromkeys(PARTS[4:], 0.0)
    assert Config(era=era, **{part: given[part]}).era_part(part) == given[part]


def test_an_override_outlives_a_change_of_era():
    config = Config.make(Config.make(era="price_burn", pool_fee=0.002), era="launch")
    assert config.era_part("pool_fee") == 0.002
    assert config.era_part("root_dividend") == "sold"


def test_eras_are_named_after_themselves_and_follow_each_other():
    assert list(ERAS) == [era.name for era in ERAS.values()]
    dates = [era.since for era in ERAS.values()]
    assert dates == sorted(dates)


# --- what the kernels read


@pytest.mark.parametrize("era", ERAS)
def test_every_parameter_is_finite_and_has_its_field(era):
    record = parameters(Config(era=era))
    assert record.dtype == PARAMETERS_DTYPE
    assert PARAMETERS_DTYPE.names == Parameters._fields
    assert all(np.isfinite(record[name]) for name in Parameters._fields)


def test_derived_parameters():
    config = Config(
        opinion_noise_half_life_days=10.0, opinion_noise_sd=0.4, moving_price_variant="slow"
    )
    record = parameters(config)
    assert record["opinion_persistence"] ** 10 == pytest.approx(0.5, rel=1e-14)
    # the variance of the walk is that of its long run
    variance = record["opinion_innovation_sd"] ** 2 / (1 - record["opinion_persistence"] ** 2)
    assert variance == pytest.approx(0.16, rel=1e-14)
    assert record["moving_price_base"] == 3e-6
    # of the chain's storage: half of an old price is left after 2,310 blocks at full age
    assert parameters(Config())["moving_price_base"] == pytest.approx(math.log(2) / 2310, rel=3e-4)
    assert parameters(Config(moving_price_base=1e-4))["moving_price_base"] == 1e-4


# --- what needs a snapshot to be refused


def test_more_subnets_than_the_snapshot_has():
    with pytest.raises(
        ConfigError, match=r"^n_subnets: got 128, allowed are 1 to 127 in mainnet-2026-04-11$"
    ):
        Batch(Config(genesis="mainnet-2026-04-11", n_subnets=128))


def test_an_unknown_snapshot():
    with pytest.raises(SnapshotError, match="unknown snapshot 'genesis'; allowed are 'mainnet"):
        Batch(Config(genesis="genesis"))
