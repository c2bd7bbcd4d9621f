"""Parameters of a world: typed, validated, readable from YAML, with one clear line per error."""

import difflib
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dtao_gym.protocol.allocation import ALLOCATIONS, FLOW_EMA_BASE
from dtao_gym.protocol.coinbase import CHAIN_BOUGHT, INJECTIONS, ROOT_DIVIDENDS
from dtao_gym.protocol.institutions import ERAS, PRUNE_KEYS, Era
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.protocol.lifecycle import SEEDINGS
from dtao_gym.protocol.plugins import RuleError, resolve
from dtao_gym.protocol.pool import MAX_FEE

CUT_OF_65535 = 11796 / 65535
"""Owner cut and largest validator take, as the chain stores them (about 18 %)."""


class ConfigError(ValueError):
    """A parameter is unknown, of the wrong type or out of range; the message names it, what was got and what is allowed."""


def _rate(default: float, description: str, ge: float = 0.0, le: float = 1.0) -> Any:
    return Field(default, description=description, ge=ge, le=le)


class Config(BaseModel):
    """All parameters of a world. Rates are per day unless the name says otherwise; amounts are TAO."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    # the world
    genesis: str = Field(
        "mainnet-2026-06-14",
        description="Snapshot to start from: a packaged name or a path to a CSV.",
    )
    n_subnets: int | None = Field(
        None,
        ge=1,
        le=128,
        description="Subnets that are simulated; the others are a frozen aggregate. None: all.",
    )
    empty_slots: int = Field(
        0, ge=0, le=128, description="Slots beside them in which nobody has registered yet."
    )
    genesis_values: Literal["from_price", "drawn"] = Field(
        "from_price",
        description="True values at genesis: those that prices stand for, or drawn like newcomers'.",
    )
    selection: Literal["largest", "sample"] = Field(
        "largest",
        description="Which subnets: the deepest pools, or a sample drawn anew each episode.",
    )
    world_seed: int = Field(0, ge=0, lt=2**63, description="Key of all randomness.")
    split: Literal["train", "evaluation"] = Field(
        "train", description="Evaluation worlds share no random number with training worlds."
    )
    spans_per_day: int = Field(
        4,
        ge=1,
        le=BLOCKS_PER_DAY,
        description="Spans a day is cut into; a divisor of 7200, which is the chain's clock.",
    )
    horizon_days: int = Field(365, ge=1, le=8000, description="Days until an episode is truncated.")
    days_per_step: int = Field(
        1,
        ge=1,
        le=28,
        description="Days between two decisions of a learner; the last step of an episode may run past the horizon.",
    )
    n_learners: int = Field(1, ge=0, le=64, description="Learners per world.")
    wealth_tao: float = Field(
        1000.0, ge=1.0, le=100_000.0, description="TAO of each learner at the start, all in root."
    )
    ruin_fraction: float = Field(
        0.01,
        gt=0.0,
        lt=1.0,
        description="A learner below this part of its first wealth is ruined and its episode terminates.",
    )
    execution: Literal["first_span", "twap"] = Field(
        "first_span",
        description="Learners' orders: all in the day's first span, or spread over the spans.",
    )

    # the institution: None takes the era's
    era: str = Field(
        "price_burn", description="Rules of the chain: " + ", ".join(sorted(ERAS)) + "."
    )
    allocation: str | None = Field(
        None,
        description="Emission shares: "
        + ", ".join(ALLOCATIONS)
        + "; or a rule of your own, by name or import path (package.module:function).",
    )
    injection: str | None = Field(
        None, description="Cap on the alpha added to pools: " + ", ".join(INJECTIONS) + "."
    )
    chain_bought: str | None = Field(
        None, description="Alpha that the chain buys: " + ", ".join(CHAIN_BOUGHT) + "."
    )
    root_dividend: str | None = Field(
        None, description="Root's alpha: " + ", ".join(ROOT_DIVIDENDS) + "."
    )
    root_gate: Literal["chain", "open"] | None = Field(
        None,
        description="Root is paid only while moving prices sum to more than 1 (chain), or always.",
    )
    pool_fee: float | None = Field(
        None, ge=0.0, le=MAX_FEE, description="Fee on the input of a swap."
    )
    flat_fee_tao: float | None = Field(
        None, ge=0.0, le=0.01, description="Fee of an operation, kept in the pool."
    )
    min_order_tao: float | None = Field(
        None,
        ge=0.0,
        le=1.0,
        description="Smallest order of a learner, unless it sells a whole position.",
    )
    min_reserve: float | None = Field(
        None, gt=0.0, le=1.0, description="Smallest reserve of TAO or alpha that a swap may leave."
    )
    moving_price_variant: Literal["fast", "slow"] = Field(
        "fast", description="Speed of the moving price: half-life 3,000 blocks, or the code's 3e-6."
    )
    moving_price_base: float | None = Field(
        None,
        ge=3e-6,
        le=1e-3,
        description="Weight of one block at full age; overrides the variant.",
    )
    moving_price_halving_blocks: float = Field(
        201_600.0,
        ge=0.0,
        le=400_000.0,
        description="Age at which a subnet's moving price has half its full speed; 0: no age factor.",
    )
    share_exponent: float = Field(
        1.0, ge=0.5, le=2.0, description="Exponent of the moving price in the price rules."
    )
    gate_bar: float | None = Field(
        None, gt=0.0, le=0.1, description="Bar of the gate, a share; None: from the quantile."
    )
    gate_quantile: float = Field(
        0.75, ge=0.5, le=0.9, description="Part of all demand that lies at or above the bar."
    )
    flow_ema_base: float = Field(
        FLOW_EMA_BASE, gt=0.0, le=1e-3, description="Weight of one block in the flow averages."
    )
    flow_cutoff: float = Field(
        0.0, description="Average flow below which a subnet gets nothing, TAO per block."
    )
    norm_exponent: float = Field(
        1.0, ge=0.25, le=4.0, description="Exponent of the flow in the flow rules."
    )
    tao_weight: float = _rate(0.18, "Weight of root TAO against alpha.")
    owner_cut: float = _rate(CUT_OF_65535, "Owner's part of the alpha minted to participants.")
    validator_take: float = _rate(CUT_OF_65535, "Validators' part of dividends.", le=CUT_OF_65535)
    halving: bool = Field(
        True, description="Emission halves with issuance; off: it keeps the rate of genesis."
    )

    # registrations: None takes the era's
    pruning: bool | None = Field(
        None, description="A newcomer to a full market takes the place of the weakest subnet."
    )
    prune_key: str | None = Field(
        None, description="The weakest is the lowest in: " + ", ".join(PRUNE_KEYS) + "."
    )
    prune_lottery_sd: float = Field(
        0.0, ge=0.0, le=2.0, description="Noise upon that key, sd of log."
    )
    immunity_days: float = Field(
        120.0, ge=0.0, le=720.0, description="Age below which no subnet is removed."
    )
    arrivals_per_slot_year: float = Field(
        0.42, ge=0.0, le=12.0, description="Founders who consider to register, a year and slot."
    )
    entry_value_tao: float = Field(
        600.0, gt=0.0, le=1e6, description="What a slot is worth to a founder, median."
    )
    entry_value_sd: float = Field(0.8, ge=0.0, le=3.0, description="Its sd of log.")
    entry_lock_tao: float = Field(
        250.0, ge=0.0, le=1e5, description="Last lock paid before genesis, by the youngest subnet."
    )
    entry_price_median: float = Field(
        0.0058,
        gt=0.0,
        le=1.0,
        description="Price that a drawn value stands for at `dilution_reference_alpha`, median.",
    )
    entry_price_sd: float = Field(0.74, ge=0.0, le=3.0, description="Its sd of log.")
    seeding: str | None = Field(
        None, description="How a new pool is filled: " + ", ".join(SEEDINGS) + "."
    )
    min_lock_tao: float | None = Field(None, ge=0.1, le=1e4, description="Smallest lock cost.")
    lock_interval_days: float | None = Field(
        None, gt=0.0, le=365.0, description="Days in which the lock cost halves, at 1 TAO a block."
    )
    start_delay_days: int | None = Field(
        None, ge=0, le=60, description="Days without emission and staking after a registration."
    )
    entrants_enabled: bool | None = Field(
        None, description="Newcomers get TAO emission at once, not after `governance_days`."
    )
    governance_days: float = Field(
        30.0,
        ge=0.0,
        le=3650.0,
        description="Age at which governance enables a newcomer's emission.",
    )
    dilution_reference_alpha: float = Field(
        2e6, ge=1e5, le=2e7, description="Alpha issuance at which a newcomer's target is undiluted."
    )

    # votes
    root_validators: int | None = Field(
        None,
        ge=0,
        le=64,
        description="Voters of the root network; None: 64 under root_vote, else 0.",
    )
    validator_top5: tuple[float, float, float, float, float] = Field(
        (0.25, 0.135, 0.11, 0.09, 0.065),
        description="Stake shares of the five largest validators; the others follow Zipf's law.",
    )
    informed_share_voters: float = _rate(0.3, "Informed part of every vote.")
    vote_power: float = Field(1.0, ge=0.5, le=3.0, description="Exponent of the score in a vote.")
    vote_cut: float = _rate(0.0, "A vote gives nothing below this part of the mean score.")
    root_column_share: float = _rate(
        0.0, "Part of every vote for root itself, which is not paid to anybody.", le=0.99
    )
    consensus_midpoint: float = _rate(32767 / 65535, "Trust at which consensus is one half.")
    consensus_slope: float = Field(10.0, ge=0.0, le=100.0, description="Slope of consensus.")

    # money
    revenue_share: float = _rate(
        0.2, "Users pay this part of the value they get, buying alpha that is recycled.", le=0.6
    )
    owner_sale_fraction: float = _rate(1.0, "Part of the owner's daily alpha that is sold.")
    miner_sale_fraction: float = _rate(0.57, "Part of the miners' daily alpha that is sold.")
    validator_sale_fraction: float = _rate(0.3, "Part of the validators' daily take that is sold.")
    root_claim_hazard: float = _rate(
        0.14, "Part of claimable root dividends that is claimed in a day."
    )
    root_swap_share: float = _rate(
        1.0, "Part of claims that is sold for TAO; the rest is kept as alpha."
    )
    outside_return: float = _rate(1 / 30, "Part of the outside account that returns to purses.")
    outside_initial_tao: float | None = Field(
        None,
        ge=0.0,
        description="Outside account at genesis; None: the balance that would be stationary.",
    )
    purse_share: float = _rate(0.10, "Liquid part of a population's TAO.", ge=0.02, le=0.5)
    purse_rebalance: float = _rate(
        1 / 30, "Part of the gap to that share that is closed, purse against root."
    )
    max_purse_use: float = _rate(0.2, "Largest part of purses spent in a day.")
    max_trade_of_pool: float = _rate(
        0.25, "Largest trade of scripted stakers in a day, as part of the reserve."
    )
    spend_rate: float = _rate(1 / 30, "Part of a treasury spent.", le=0.2)
    reinvest_share: float = _rate(
        0.7, "Part of the owner's income that enters the treasury; the rest is consumed."
    )
    initial_treasury_tao: float = Field(
        150.0, ge=0.0, le=3000.0, description="Treasury of each subnet at genesis."
    )
    staker_share_of_alpha_out: float = Field(
        0.6, ge=0.3, le=0.9, description="Stakers' part of alpha outstanding at genesis."
    )

    # stakers
    informed_share_stakers: float = _rate(0.3, "Informed part of purses and holdings at genesis.")
    opinion_weights: Literal["fixed", "wealth"] = Field(
        "fixed", description="Weights of opinions: purse shares of genesis, or of today."
    )
    pooled_capitalisation: float = Field(
        502.69, gt=0.0, le=10_000.0, description="Days of value that a stake is worth."
    )
    genesis_multiple: float = Field(
        141.6,
        gt=0.0,
        le=10_000.0,
        description="Price over capitalised payments of users, at genesis.",
    )
    signal_noise_sd: float = _rate(0.1, "Noise of the public signal, sd of log.", le=0.5)
    signal_lag_days: int = Field(
        7, ge=0, le=90, description="Age of the public signal when it is read."
    )
    opinion_noise_sd: float = _rate(0.3, "Error of opinion of the uninformed, sd of log.")
    opinion_noise_half_life_days: float = Field(
        20.0, ge=1.0, le=365.0, description="Half-life of that error."
    )
    momentum: float = _rate(0.1, "Exponent of past price change in the uninformed target.")
    momentum_lag_days: int = Field(
        20, ge=1, le=60, description="Days over which that change is taken."
    )
    yield_sensitivity: float = _rate(
        0.0, "Weight of yearly stake yield above the mean in the uninformed target.", le=2.0
    )
    trade_speed: float = _rate(0.05, "Part of the way to the target that stakers trade.")
    dilution: bool = Field(True, description="Targets fall as alpha issuance grows.")

    # true value, a mean-reverting walk
    value_log_sd: float = Field(
        0.6, ge=0.0, le=3.0, description="Long-run sd of the log of true value."
    )
    value_half_life_days: float = Field(
        180.0, ge=1.0, le=10_000.0, description="Half-life of its deviations."
    )

    @model_validator(mode="after")
    def _names_and_divisors(self) -> Self:
        choices = (
            ("era", ERAS),
            ("injection", INJECTIONS),
            ("chain_bought", CHAIN_BOUGHT),
            ("root_dividend", ROOT_DIVIDENDS),
            ("prune_key", PRUNE_KEYS),
            ("seeding", SEEDINGS),
        )
        for name, allowed in choices:
            value = getattr(self, name)
            if value is not None and value not in allowed:
                raise ConfigError(
                    f"{name}: got {value!r}, allowed are {', '.join(sorted(allowed))}"
                )
        if self.allocation is not None and self.allocation not in ALLOCATIONS:
            try:
                resolve(self.allocation)
            except RuleError as error:
                raise ConfigError(f"allocation: {error}") from None
        if not 0.0 < sum(self.validator_top5) < 1.0 or min(self.validator_top5) <= 0.0:
            raise ConfigError(
                f"validator_top5: got {self.validator_top5}, allowed are five positive shares with a sum below 1"
            )
        if BLOCKS_PER_DAY % self.spans_per_day:
            raise ConfigError(
                f"spans_per_day: got {self.spans_per_day}, allowed are divisors of {BLOCKS_PER_DAY}"
            )
        return self

    @classmethod
    def make(
        cls, config: "Config | dict | str | Path | None" = None, /, **overrides: Any
    ) -> "Config":
        """A configuration from defaults, a mapping, a YAML file or another one, with fields overridden.

        Raises `ConfigError` naming the field, what was got and what is allowed.
        """
        if isinstance(config, Config):
            fields = config.model_dump(exclude_unset=True)
        elif isinstance(config, str | Path):
            fields = _read_yaml(Path(config))
        elif config is None or isinstance(config, dict):
            fields = dict(config or {})
        else:
            raise ConfigError(
                f"config: got {type(config).__name__}, allowed are Config, dict, a path to a YAML file, None"
            )
        try:
            return cls.model_validate(fields | overrides)
        except ValidationError as error:
            raise ConfigError(
                "; ".join(_line(problem, cls) for problem in error.errors())
            ) from None

    def era_part(self, name: str) -> Any:
        """A parameter, taken from the era where this configuration says None."""
        value = getattr(self, name)
        era: Era = ERAS[self.era]
        return getattr(era, name) if value is None and hasattr(era, name) else value


def _read_yaml(path: Path) -> dict:
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{path}: cannot be read as YAML: {' '.join(str(error).split())}"
        ) from None
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path}: got {type(content).__name__}, allowed is a mapping of parameters"
        )
    return content


def _line(problem: Any, cls: type[BaseModel]) -> str:
    """One pydantic error as `field: got X, allowed ...`."""
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        close = difflib.get_close_matches(name, cls.model_fields, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"{name}: unknown parameter, got {problem['input']!r}{hint}"
    if isinstance(cause := problem.get("ctx", {}).get("error"), ConfigError):
        return str(cause)
    return f"{name}: got {problem['input']!r}, allowed: {problem['msg'].lower().removeprefix('input ')}"
