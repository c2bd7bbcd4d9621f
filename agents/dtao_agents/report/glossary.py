"""Words that a newcomer needs, and plain names of institutions."""

from typing import NamedTuple

from dtao_agents.report.inline import Term

_TERMS = (
    # --- Bittensor
    Term("TAO", "The coin of the Bittensor network. At most 21 million will ever be issued."),
    Term(
        "alpha",
        "The token of one subnet, bought with TAO from the subnet's pool. Its price is what the market thinks of the subnet.",
    ),
    Term(
        "subnet",
        "A project in the Bittensor network with its own owner, miners and token, usually an AI service. The network pays it in newly issued TAO.",
    ),
    Term(
        "builder",
        "Owner of a subnet: decides how much to spend on short-term work, on long-term research and on influence.",
        ("subnet owner",),
    ),
    Term(
        "root",
        "The network's base layer, numbered 0. TAO staked there earns dividends without the price risk of a single subnet; until February 2025 its validators voted on who is paid.",
        ("root network", "root stake"),
    ),
    Term(
        "staking",
        "Tying up TAO to earn a part of what the network issues: on root, or in a subnet by buying its alpha.",
        ("staked", "stake"),
    ),
    Term("staker", "A holder of TAO who stakes it on root or in subnets."),
    Term(
        "validator",
        "A participant who rates others' work and to whom holders delegate stake. The 64 largest ones on root divided the emission by vote until February 2025.",
    ),
    Term("miner", "A participant who does the work that a subnet pays for."),
    Term(
        "emission",
        "TAO and alpha that the network issues every 12 seconds and hands out to subnets, their owners, miners, validators and stakers.",
    ),
    Term(
        "pool",
        "Reserve of TAO and alpha of a subnet against which everybody trades. The ratio of the two is the price; large trades move it against the trader.",
        ("liquidity pool",),
    ),
    Term(
        "slippage",
        "Difference between the quoted price and the price that a trade gets, because the trade itself moves the price.",
    ),
    Term(
        "moving price",
        "Average of a token's price over the recent past, which the rules use instead of the price of the moment. A fast one follows within hours, a slow one within weeks.",
    ),
    Term(
        "pruning",
        "Dissolving the weakest subnet to make room for a newcomer once all places are taken.",
        ("pruned", "dissolved"),
    ),
    Term(
        "dilution",
        "Loss of value of a token because more of it is issued: the same claim is divided among more tokens.",
        ("diluted",),
    ),
    Term("halving", "Cut of the issue of new coins by half once a fixed amount has been issued."),
    Term("dividend", "Part of the emission that holders get in proportion to their stake."),
    Term(
        "root fund",
        "Since August 2026: root stakers' dividends are kept as alpha in a fund, of which they hold shares.",
    ),
    Term("spillover", "Benefit of one subnet's research to the others, which nobody pays for."),
    Term("hype", "Overstatement of short-term work in what the public can see of a subnet."),
    Term(
        "merit",
        "How closely pay follows contribution: the rank correlation of emission and contributed value. 1 is the same order, 0 is no relation.",
    ),
    # --- the question
    Term("institution", "The rule by which the network divides newly issued TAO among subnets."),
    Term(
        "research share",
        "Part of a builder's spending on work that goes to long-term research instead of short-term results.",
    ),
    Term(
        "log-odds",
        "Scale on which shares are compared: the logarithm of share / (1 − share). 0 is one half; 0.2 more is about five percentage points near one half.",
        ("log-odd",),
    ),
    Term(
        "crowding out",
        "An institution crowds out research where builders put a smaller share into it than they would if users paid them exactly their own value. Measured as a difference of log-odds.",
        ("crowds out", "crowd out", "crowded out"),
    ),
    Term(
        "implicit tax on research",
        "The tax on the returns to research that would shift spending as far as the institution does. Negative: a subsidy.",
        ("implicit tax", "implicit research tax"),
    ),
    Term(
        "fee reference",
        "World for comparison in which users pay builders in proportion to their own value: no market, no votes, no hype.",
        ("fee arm", "reference arm"),
    ),
    Term(
        "equilibrium",
        "State in which no builder gains by changing its decision, given what the others do.",
        ("equilibria",),
    ),
    Term("best response", "The decision that pays a builder most, given what the others do."),
    Term("closed form", "A formula solved on paper. It checks the simulation where both apply."),
    Term("welfare", "Value to users less the cost of producing it. Transfers cancel out."),
    Term(
        "informed share",
        "Part of the money, or of the votes, whose holders know a subnet's research under way instead of the public signal.",
    ),
    # --- statistics
    Term(
        "confidence interval",
        "Range that contains the true number in 95 of 100 repetitions of the whole measurement.",
        ("95 % interval", "95% interval", "interval"),
    ),
    Term(
        "smallest effect of interest",
        "Effect below which a difference does not matter, fixed before looking at the results.",
    ),
    Term(
        "equivalence test",
        "Test that shows that an effect is too small to matter, instead of failing to show that there is one.",
        ("equivalence", "two one-sided tests"),
    ),
    Term(
        "Holm",
        "Correction that keeps the chance of even one false finding at 5 % when many questions are tested together.",
        ("Holm's correction", "Holm correction"),
    ),
    Term(
        "bootstrap",
        "Estimate of uncertainty by drawing again and again from the same observations.",
    ),
    Term(
        "seed",
        "Number that fixes all chance events of one simulated world. Institutions are compared under the same seeds.",
    ),
    Term(
        "Shapley value",
        "Fair division of an effect among its causes: the average contribution of each cause over all orders of adding them.",
        ("Shapley",),
    ),
    Term(
        "half-life",
        "Time in which a quantity falls to one half.",
        ("half-live",),
    ),
    # --- concentration and portfolios
    Term(
        "Nakamoto coefficient",
        "Fewest participants who together control more than one half. Low: control is concentrated.",
    ),
    Term(
        "HHI",
        "Herfindahl–Hirschman index, the sum of squared shares: 1 is a single owner, 1/n is n equal ones.",
        ("Herfindahl", "Herfindahl–Hirschman index"),
    ),
    Term("Gini coefficient", "Inequality from 0, all equal, to 1, one has everything.", ("Gini",)),
    Term(
        "Kelly share",
        "Part of wealth to put at risk so that it grows fastest in the long run.",
        ("Kelly", "Kelly criterion"),
    ),
    Term(
        "Sharpe ratio",
        "Return above the safe return, divided by its fluctuation. Higher is better.",
        ("Sharpe",),
    ),
    Term("drawdown", "Largest fall of wealth from an earlier peak."),
    Term("volatility", "Size of the usual fluctuations of a price, as a standard deviation."),
    Term("log growth", "Logarithm of final over initial wealth: +0.05 a year is about 5 % a year."),
    Term(
        "liquidation wealth",
        "What selling everything now would fetch, after fees and the seller's own effect on prices.",
    ),
    Term(
        "reinforcement learning",
        "Training of a program by trial and reward.",
        ("learned policy", "learned policies"),
    ),
)

GLOSSARY = {term.name: term for term in _TERMS}
"""Terms by name."""


class InstitutionName(NamedTuple):
    """Plain name of an institution.

    Attributes
    ----------
    name : str
        For labels: "by token price".
    since : str
        When the chain used it; empty where it never did.
    description : str
        One sentence.
    """

    name: str
    since: str
    description: str


INSTITUTION_NAMES = {
    "fee": InstitutionName(
        "users pay for value",
        "",
        "Users pay each builder in proportion to its own value; the reference, not a rule of the chain.",
    ),
    "uniform": InstitutionName("equal shares", "", "Every subnet gets the same."),
    "root_vote": InstitutionName(
        "by vote of root validators",
        "until February 2025",
        "Up to 64 validators on root vote, weighted by their stake.",
    ),
    "price": InstitutionName(
        "by token price",
        "from February 2025",
        "In proportion to the moving price of the subnet's token.",
    ),
    "tao_flow": InstitutionName(
        "by net inflow of TAO (2025)",
        "from November 2025",
        "In proportion to the TAO that stakers bring less what they take out, averaged over weeks.",
    ),
    "net_flow": InstitutionName(
        "by net inflow less protocol's TAO",
        "May and June 2026",
        "As by net inflow, after subtracting the TAO that the protocol itself put into the pool.",
    ),
    "price_rootprop": InstitutionName(
        "by token price, unburned pay and root's weight",
        "June and July 2026",
        "Token price times the part of miners' pay that is not burned, times the weight of root in the subnet.",
    ),
    "price_burn": InstitutionName(
        "by token price and unburned pay",
        "from July 2026",
        "Token price times the part of miners' pay that is not burned.",
    ),
    "price_burn_gate": InstitutionName(
        "by token price, gated by market share",
        "late July 2026",
        "As by token price and unburned pay, and subnets below a bar, set where a part of demand is reached, get much less.",
    ),
    "price_burn_gate_rank": InstitutionName(
        "by token price, gated at rank 32",
        "from August 2026",
        "As by token price and unburned pay, and subnets with less demand than the 32nd get much less.",
    ),
    "fund_in_place": InstitutionName(
        "by token price, root dividends kept in a fund",
        "from August 2026",
        "Root stakers' dividends stay invested in the subnets that paid them, in a fund of which they hold shares.",
    ),
    "fund_curated": InstitutionName(
        "by token price, root dividends invested by validators",
        "August and September 2026",
        "As with the fund, but some validators sell the dividends and buy subnets of their choice.",
    ),
}
"""Plain names of institutions: rules of emission, uses of root's dividends, and the reference."""


def plain_name(institution: str) -> str:
    """Return the plain name of an institution; its own name where it is a rule of the user's."""
    known = INSTITUTION_NAMES.get(institution)
    return institution.replace("_", " ") if known is None else known.name
