"""Claim C4, "root is the safe base return; subnets offer more, with price risk": return and risk of staking rules.

All subnets of a snapshot are simulated under every institution. Rules are played from the same state, on the same evaluation
seeds, and are compared with all root in pairs. Properties of the model that could be mistaken for results:

* Frozen subnets keep their prices, so that the sum of prices stays above 1 and root is paid for ever. Here none is frozen.
* In the quarter after genesis the sum of prices falls from 1.31 to 0.98, which looks like a loss on subnets; mainnet's fell to
  1.29 in as long. So stakers enter on several days (`entry_days`): after that fall, and at genesis. The two disagree on
  whether subnets earn more than root, and a verdict needs both.
* Below a sum of prices of 1 the chain's gate (`root_gate`) pays root nothing: the part of days on which root is paid says
  how much of its return is left.
* Days of one span let a rebalancing rule trade against the day's whole move. Four spans a day agree with 48.
* Rules trade a tenth of the gap a day, which for 1 TAO in 128 subnets is below the chain's smallest order: none is required.

TAO is the numeraire: the risk of TAO itself is no part of this claim. All worlds start from one snapshot.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from dtao_agents.claims import safety_measures as measures
from dtao_agents.claims.estimates import estimate, first_mean
from dtao_agents.claims.finding import Finding, Hypothesis
from dtao_agents.claims.full_market import FULL_MARKET, institution_fields
from dtao_agents.claims.safety_measures import BuyOnce, Market, WealthPath
from dtao_agents.roles.policies import Policy
from dtao_agents.roles.staker_policies import SCRIPTED
from dtao_gym.envs.roles import role_named
from dtao_gym.envs.task import TaskConfig
from dtao_gym.protocol.institutions import ERAS

CLAIM = "C4"
ROOT, MARKET, BOUGHT = "all_root", "market_weight", "buy_and_hold"
"""Rules: the base, the market portfolio, and the same bought at once and never traded again."""
RULES = (*(name for name in SCRIPTED if name != "random"), BOUGHT)
PASSIVE = ("equal_weight", MARKET, BOUGHT)
"""Rules that use no forecast: they are what "subnets" offer."""
LEARNED = "learned"
SAFE_FALL = 0.01
"""Largest fall of wealth from an earlier high that counts as safe."""
SAME_SHARE = 0.1
"""Largest difference in root's share that counts as the same answer."""


class SafetySettings(BaseModel):
    """Settings of the measurement of claim C4."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    institutions: tuple[str, ...] = Field(
        default=(
            "price", "price_burn", "price_burn_gate", "tao_flow", "net_flow", "root_vote", "uniform",
        ),
        min_length=1,
        description="Allocation rules; all else as under `price_burn`.",
    )  # fmt: skip
    dividends: tuple[str, ...] = Field(
        default=("claimable", "sold", "fund_in_place"),
        min_length=1,
        description="Uses of root's dividends: the first under every institution, the others under the first one.",
    )
    eras: tuple[str, ...] = Field(
        default=("subsidy", "tao_flow", "net_flow", "price_burn_gate", "root_reborn"),
        description="Eras of the chain, with all their rules, in the same market.",
    )
    wealths: tuple[float, ...] = Field(
        default=(1.0, 100.0, 1_000.0, 10_000.0, 100_000.0),
        min_length=1,
        description="Wealth at genesis, TAO, ascending.",
    )
    rules: tuple[str, ...] = Field(default=RULES, description="Scripted rules besides all root.")
    policy: str | None = Field(
        default="staker_quickstart",
        description="Published policy of a learned staker, by name or path; None, or without torch: none.",
    )
    worlds: int = Field(default=64, ge=2, le=65_536, description="Evaluation seeds 0, 1, ...")
    entry_days: tuple[int, ...] = Field(
        default=(180, 0), min_length=1, description="Days after genesis on which the staker enters."
    )
    days: int = Field(default=365, ge=60, le=3650, description="Days from entry to the end.")
    invest_days: int = Field(
        default=30,
        ge=0,
        le=59,
        description="Days after entry before volatility, Sharpe ratio and Kelly share are measured.",
    )
    spans_per_day: int = Field(default=4, ge=1, le=7200, description="Spans of a day.")
    world: dict[str, Any] = Field(
        default_factory=lambda: {"min_order_tao": 0.0},
        description="World parameters of every arm, over all others.",
    )
    resamples: int = Field(default=10_000, ge=100, description="Bootstrap samples of an interval.")
    threads: int = Field(default=1, ge=1, le=256, description="Threads that share the worlds.")

    @field_validator("rules")
    @classmethod
    def _known(cls, rules: tuple[str, ...]) -> tuple[str, ...]:
        """Raise ValueError for an unknown rule, or where the market portfolio is missing."""
        unknown = [name for name in rules if name not in RULES]
        if unknown or MARKET not in rules:
            raise ValueError(
                f"rules: got {list(rules)}, allowed are {', '.join(RULES)}, with {MARKET}"
            )
        return tuple(name for name in rules if name != ROOT)

    @field_validator("wealths")
    @classmethod
    def _ascending(cls, wealths: tuple[float, ...]) -> tuple[float, ...]:
        """Raise ValueError unless wealth ascends."""
        if list(wealths) != sorted(set(wealths)):
            raise ValueError(f"wealths: got {list(wealths)}, allowed is an ascending order")
        return wealths


QUICK = SafetySettings(
    institutions=("price", "tao_flow", "root_vote", "price_burn", "uniform"),
    eras=(),
    wealths=(1_000.0, 100_000.0),
    rules=("equal_weight", MARKET, "value", BOUGHT),
    worlds=16,
)
"""A measurement in less than a minute of CPU time."""
FULL = SafetySettings.model_validate({"eras": (), "worlds": 32})
"""A measurement in about ten minutes; eras as a whole are left to who asks for them."""


# ------------------------------------------------------------ arms


class Arm(NamedTuple):
    """One market in which all rules are played.

    Attributes
    ----------
    institution : str
    setting : str
        The rest in words, without wealth.
    fields : dict
        World parameters over those of the full market.
    entry_day : int
    """

    institution: str
    setting: str
    fields: dict[str, Any]
    entry_day: int


def arms(settings: SafetySettings) -> Iterator[Arm]:
    """Yield the markets: institutions, further uses of dividends, and eras, for each day of entry."""
    first, *others = settings.dividends
    for entry_day in settings.entry_days:
        entry = f"entry on day {entry_day}"
        pairs = [(name, first) for name in settings.institutions]
        pairs += [(settings.institutions[0], dividend) for dividend in others]
        for name, dividend in pairs:
            fields = institution_fields(name) | {"root_dividend": dividend}
            yield Arm(name, f"dividends {dividend}, {entry}", fields, entry_day)
        for era in settings.eras:
            dividend = ERAS[era].root_dividend if era in ERAS else "unknown"
            yield Arm(f"era {era}", f"dividends {dividend}, {entry}", {"era": era}, entry_day)


def arm_task(settings: SafetySettings, arm: Arm, wealth: float) -> TaskConfig:
    """Return the evaluation task of a staker in an arm. Raises ConfigError."""
    own = {
        "horizon_days": arm.entry_day + settings.days,
        "spans_per_day": settings.spans_per_day,
        "wealth_tao": wealth,
        "days_per_step": 1,
    }
    fields = FULL_MARKET | own | arm.fields | settings.world
    return role_named("staker").task(fields, split="evaluation", world_seed=0)


def policies(settings: SafetySettings, entry_day: int) -> dict[str, Policy]:
    """Return the scripted rules by name, all root first."""
    rules: dict[str, Policy] = {**SCRIPTED, BOUGHT: BuyOnce(entry_day)}
    return {name: rules[name] for name in (ROOT, *settings.rules)}


def load_learned(settings: SafetySettings) -> Any:
    """Return the published policy with its task, a `Contender`; None without one or without torch.

    Raises
    ------
    PolicyError, ConfigError
        For unusable files.
    """
    if settings.policy is None:
        return None
    try:
        from dtao_agents.evaluation.contenders import contender, find_folder
    except ImportError as error:
        if error.name not in ("torch", "safetensors"):
            raise
        return None
    return contender(find_folder(Path(settings.policy)))


# ------------------------------------------------------------ findings

MORE = Hypothesis("a passive portfolio of subnets earns more than root", "above", 0.0)
REWARDED = Hypothesis("the risk of a passive portfolio of subnets is rewarded", "above", 0.0)
LESS_RISK = Hypothesis("root varies less than the market portfolio", "below", 0.0)
NO_FALL = Hypothesis("root never falls by more than 1 % from an earlier high", "below", SAFE_FALL)
PAID = Hypothesis("root is paid on all but 1 % of days", "above", 1.0 - SAFE_FALL)
AS_KELLY = Hypothesis("the learned staker's root share is that of Kelly", "within", SAME_SHARE)


class _Reporter:
    """Findings of one arm at one wealth."""

    def __init__(self, settings: SafetySettings, institution: str, setting: str):
        self.settings, self.institution, self.setting = settings, institution, setting

    def finding(
        self,
        measure: str,
        rows: np.ndarray,
        hypothesis: Hypothesis | None = None,
        *,
        unit: str = "",
        statistic: Callable[[np.ndarray], np.ndarray] = first_mean,
        bounded: bool = False,
    ) -> Finding:
        """Return a finding on a statistic of means over worlds of `rows` `(worlds,)` or `(worlds, k)`."""
        result = estimate(rows, statistic, self.settings.resamples, bounded)
        return Finding(
            CLAIM, measure, self.institution, self.setting, unit, result, len(rows), hypothesis
        )

    def of_rule(self, name: str, path: WealthPath, root: WealthPath) -> list[Finding]:
        """Return return and risk of a rule, and its comparison with all root."""
        skipped = self.settings.invest_days
        safe = NO_FALL if name == ROOT else None
        found = [
            self.finding(f"{name}: log growth", measures.annual_growth(path), unit="a year"),
            self.finding(f"{name}: volatility", measures.volatility(path, skipped), unit="a year"),
            self.finding(f"{name}: largest fall", measures.largest_fall(path), safe),
        ]
        if name == ROOT:
            paid = measures.paid_days(path)
            return [*found, self.finding("part of days on which root is paid", paid, PAID)]
        passive = name in PASSIVE
        gain = measures.annual_growth(path) - measures.annual_growth(root)
        moments = excess_moments(path, root, skipped)
        return [
            *found,
            self.finding(
                f"{name}: log growth less root's", gain, MORE if passive else None, unit="a year"
            ),
            self.finding(
                f"{name}: Sharpe ratio against root",
                moments,
                REWARDED if passive else None,
                unit="a year",
                statistic=measures.sharpe_ratio,
            ),
        ]

    def of_kelly(self, played: dict[str, WealthPath]) -> list[Finding]:
        """Return root against the market portfolio: risk, the Kelly share, and the learned staker's share."""
        root, market, skipped = played[ROOT], played[MARKET], self.settings.invest_days
        risk = measures.volatility(root, skipped) - measures.volatility(market, skipped)
        moments = excess_moments(market, root, skipped)
        found = [
            self.finding(
                "volatility of root less that of the market", risk, LESS_RISK, unit="a year"
            ),
            self.finding(
                "Kelly share of the market portfolio, not clipped",
                moments,
                statistic=measures.kelly_share,
            ),
            self.finding(
                "root share by Kelly", moments, statistic=measures.root_by_kelly, bounded=True
            ),
        ]
        if LEARNED not in played:
            return found
        share = measures.root_share(played[LEARNED], skipped)
        return [
            *found,
            self.finding(f"{LEARNED}: root share", share),
            self.finding(
                f"{LEARNED}: root share less that by Kelly",
                np.column_stack([moments, share]),
                AS_KELLY,
                statistic=lambda means: means[..., 3] - measures.root_by_kelly(means[..., :3]),
                bounded=True,
            ),
        ]

    def of_market(self, played: dict[str, WealthPath]) -> list[Finding]:
        """Return all findings of a market."""
        rules = [self.of_rule(name, path, played[ROOT]) for name, path in played.items()]
        return [*(finding for found in rules for finding in found), *self.of_kelly(played)]


def excess_moments(path: WealthPath, root: WealthPath, invest_days: int) -> np.ndarray:
    """Return moments of daily returns over root's, `(worlds, 3)`; see `safety_measures.excess_moments`."""
    return measures.excess_moments(
        measures.returns(path, invest_days), measures.returns(root, invest_days)
    )


def measure(
    settings: SafetySettings, progress: Callable[[str], Any] = lambda line: None
) -> list[Finding]:
    """Measure claim C4 in every arm and at every wealth.

    Parameters
    ----------
    settings : SafetySettings
    progress : callable
        Is called with one line for each market.

    Returns
    -------
    list of Finding
        By arm and wealth; last, where there is a learned staker, its own world.

    Raises
    ------
    ConfigError, PolicyError
        An institution or a world parameter is unknown or out of range; a policy's file is unusable.
    """
    learned = load_learned(settings)
    found = []
    for arm in arms(settings):
        smallest = None
        for wealth in settings.wealths:
            setting = f"{wealth:,.0f} TAO, {arm.setting}"
            progress(f"{CLAIM}: {arm.institution}, {setting}")
            task = arm_task(settings, arm, wealth)
            market = Market(task, range(settings.worlds), arm.entry_day, settings.threads)
            chosen = policies(settings, arm.entry_day)
            if learned is not None:
                n_subnets = market.episodes.batch.layout.n_subnets
                chosen[LEARNED] = learned.policy.for_subnets(n_subnets)
            played = {name: market.play(policy) for name, policy in chosen.items()}
            report = _Reporter(settings, arm.institution, setting)
            found += report.of_market(played)
            growth = measures.annual_growth(played[MARKET])
            smallest = growth if smallest is None else smallest
            if smallest is not growth:
                words = f"{MARKET}: log growth less that with {settings.wealths[0]:,.0f} TAO"
                found.append(report.finding(words, growth - smallest, unit="a year"))
    return found if learned is None else found + _measure_at_home(settings, learned, progress)


def _measure_at_home(
    settings: SafetySettings, learned: Any, progress: Callable[[str], Any]
) -> list[Finding]:
    """Findings in the world for which the learned staker was published, from genesis on."""
    task = learned.task
    setting = f"{task.wealth_tao:,.0f} TAO, world of the learned staker's training"
    institution = f"era {task.era}"
    progress(f"{CLAIM}: {institution}, {setting}")
    market = Market(task, range(settings.worlds), 0, settings.threads)
    chosen = {name: SCRIPTED[name] for name in (ROOT, MARKET)} | {LEARNED: learned.policy}
    played = {name: market.play(policy) for name, policy in chosen.items()}
    return _Reporter(settings, institution, setting).of_market(played)
