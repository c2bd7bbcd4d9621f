"""Write `docs/glossary.md`: the words of a probe's page, and those of the chain and of the environments.

    python scripts/build_glossary.py

`tests/test_docs.py` compares the page.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "agents")]

from dtao_agents.report.glossary import GLOSSARY  # noqa: E402

PAGE = ROOT / "docs/glossary.md"
MORE = {
    "block": "Step of the chain, 12 seconds. A day has 7,200.",
    "burned": "Gone for good: alpha or TAO that nobody can ever use, though it stays in the issuance. Miner burn is the part of the miners' emission that a subnet's owner destroys.",
    "consensus": "How much of a subnet's vote is backed by a majority of stake, as a smooth step from 0 to 1.",
    "dTAO": "Dynamic TAO: the market of subnet tokens that replaced the vote of root validators in February 2025.",
    "epoch": "Moment, once in a tempo, at which a subnet pays its miners, validators and stakers.",
    "era": "Period in which the chain followed one set of rules. Eleven of them are simulated.",
    "gate": "Part of an emission rule that lets subnets with much demand through and cuts the pay of the others.",
    "genesis": "State in which a world starts: a snapshot of the chain, or a drawn market.",
    "horizon": "Days after which an episode ends.",
    "hotkey": "Key under which a miner or validator works; holders delegate stake to it.",
    "immunity": "Time after its registration in which a subnet cannot be dissolved.",
    "influence": "What a builder buys to look better in the public signal, without any value to users.",
    "injection": "TAO and alpha that the chain adds to a subnet's pool in each block, without moving its price.",
    "knowledge": "Stock that research adds to, with a delay. It decays slowly, and others benefit from it too.",
    "ledger": "The accounts of a world. TAO and alpha are only ever created by emission, and the sums are checked.",
    "lock cost": "TAO that a founder pays for the registration of a subnet. It doubles with each registration and falls with time.",
    "net flow": "TAO that stakers bring to a subnet less what they take out, averaged over time.",
    "netuid": "Number of a subnet; root is 0.",
    "news": "What some stakers learn about a subnet and agents do not observe; it makes prices hard to predict.",
    "outside": "Account of the rest of the economy in a simulated world: what is spent, cashed out or consumed goes there.",
    "pipeline": "Research under way: three stages, 180 days on average, until it becomes knowledge.",
    "protocol alpha": "Alpha that the chain buys with TAO above a cap, and keeps.",
    "public signal": "What everybody can see of a subnet's value: late, noisy, overstating short-term work and influence.",
    "rao": "Smallest unit of TAO, 10⁻⁹ of it.",
    "recycled": "Taken out of the issuance, so that it will be issued again.",
    "replay": "Episode on real prices of the chain, in which nobody reacts to the agent.",
    "rollout": "Steps that all worlds play between two updates of a policy.",
    "salvage": "Part of a dissolved subnet's knowledge that passes to its successor.",
    "snapshot": "Table of all subnets at one block, from which worlds start.",
    "span": "Step of a simulated day. Few spans are fast, 7,200 are the chain's own clock.",
    "spot price": "Price of an infinitesimal trade: TAO over alpha in the pool, corrected for the pool's weights.",
    "take": "Part of dividends that a validator keeps for itself, 18 %.",
    "tempo": "Number of blocks between two epochs of a subnet, usually 360.",
    "truncated": "Said of an episode that ends by the clock while it could go on, unlike a terminated one.",
    "world": "One simulated market, with all its subnets and people.",
    "Yuma consensus": "How the chain turns validators' ratings of miners into pay within a subnet. Not simulated.",
}
"""Words that a probe's page does not need."""


def text() -> str:
    """Return the page."""
    terms = {term.name: term.definition for term in GLOSSARY.values()} | MORE
    lines = [
        "# Glossary",
        "",
        "Words of the chain, of the model, and of the probe's page. Written by `python scripts/build_glossary.py`.",
        "",
        "```{glossary}",
    ]
    for name in sorted(terms, key=str.lower):
        lines += [name, f"  {terms[name]}", ""]
    lines[-1] = "```"
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
    print(PAGE)
