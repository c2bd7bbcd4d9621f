"""Pages of the reference on environments: spaces, rewards, ends and infos of each registered id."""

import ast
import inspect
import io
import textwrap
import tokenize
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np

import dtao_gym.envs.builder.observation as builder_observation
import dtao_gym.envs.builder.twin as builder_twin
import dtao_gym.envs.staker.observation as staker_observation
from dtao_gym.envs.builder.discrete import CHOICES
from dtao_gym.envs.roles import ROLES, role_named
from scripts.markdown import escaped, overview, table

N_SHOWN = 8
"""Subnets of the worlds that are made to read infos; no page depends on the number."""

ACTIONS: dict[str, list[tuple[str, str, str]]] = {
    "staker": [
        ("0", "`root`", "logit of the target weight of root"),
        ("1 to `n_subnets`", "`subnet_i`", "logit of the target weight of each subnet, in the order of slots; weights are softmax(10 a)"),
        ("`n_subnets + 1`", "`trade_share`", "share of the gap to the target that is traded: none at -1, half at 0, all at 1"),
    ],
    "builder": [
        ("0", "`spend_rate`", "part of the treasury spent in a day: 0 at -1, 0.1 at 0, 0.2 at 1"),
        ("1", "`research_logit`", "b in product : research : influence = softmax(0, 6.21 b, 6.21 c); alone it moves the research share from 0.002 to 0.998"),
        ("2", "`influence_logit`", "c in the same division; without effect unless `influence` is on"),
        ("3", "`owner_sale_fraction`", "part of the owner's daily alpha that is sold: none at -1, all at 1"),
    ],
}  # fmt: skip
"""Entries of an action: position, name, meaning. The tests move each entry and look at what changes."""
ACTIONS["replay"] = ACTIONS["staker"]

SUMMARIES = {
    "Staker-v0": "A TAO holder chooses a portfolio over root and the subnets.",
    "Builder-v0": "A subnet owner divides the budget of its team.",
    "Replay-v0": "The staker on mainnet's real prices.",
    "StakerSmall-v0": "`Staker-v0` with 16 subnets, for scripts that take no more than an id.",
    "BuilderSmall-v0": "`Builder-v0` with 8 subnets, for scripts that take no more than an id.",
    "BuilderDiscrete-v0": "`Builder-v0` with 8 subnets and seven actions, for agents without continuous ones.",
}

INFOS = {
    "day": "days since genesis; in a replay, since the first close of the window",
    "welfare": "sum of the true values of the simulated subnets less costs, TAO a day",
    "emission_hhi": "Herfindahl index of the emission shares of the simulated subnets",
    "price_sum": "sum of the spot prices of the simulated subnets, TAO per alpha",
    "registrations": "registrations since genesis",
    "dissolutions": "subnets dissolved since genesis",
    "true_value": "value of each subnet to its users, TAO a day; agents do not observe it",
    "spot_price": "price of each subnet's alpha, TAO",
    "emission_share": "share of each subnet in the emission",
    "wealth": "liquidation wealth, TAO",
    "root_tao": "TAO on root",
    "traded_tao": "TAO exchanged with pools in this step",
    "date": "date of the close, as a number YYYYMMDD",
    "netuid": "netuid of each slot",
    "treasury": "TAO in the treasury",
    "budget": "spending of the last day, TAO",
    "income": "income of the last day, TAO",
    "consumed": "TAO consumed since genesis",
    "spend_rate": "part of the treasury spent in a day, in force",
    "research_share": "research over research and product, in force",
    "influence_share": "influence over the budget, in force",
    "owner_sale_fraction": "part of the owner's daily alpha that is sold, in force",
    "short_stock": "stock of short-term value, TAO a day",
    "knowledge": "stock of knowledge, TAO a day",
    "influence_stock": "stock of influence on the public signal, TAO a day",
    "ability": "factor on the output of own spending",
    "own_price": "spot price of the own alpha, TAO",
    "own_moving_price": "moving price of the own alpha, TAO",
    "own_emission_share": "share of the own subnet in the emission",
    "pipeline": "research in all stages of the pipeline, TAO a day",
    "pruned": "whether the subnet has been dissolved",
}
"""Meaning of each key of an info."""

TRUNCATED = (
    "`truncated` when `horizon_days` have passed, or after `max_episode_steps` where it is given. With "
    "`horizon: geometric` a world ends on a random day instead, and counts as `terminated`: no bootstrap."
)


def described_entries(module: ModuleType, name: str) -> dict[str, str]:
    """Return the entries of a list of features and their descriptions in the source.

    Parameters
    ----------
    module : module
    name : str
        A tuple of names with comments behind them, or a NamedTuple with a text below each field. An entry without a
        description has that of its name elsewhere in the module, or refers to the entry before it.

    Returns
    -------
    dict
        Description by name, in the order of the list.
    """
    found = _described_fields(module, name) or _commented_names(module, name)
    elsewhere: dict[str, str] = {}
    for other in _commented_lists(module):
        elsewhere = {k: v for k, v in _commented_names(module, other).items() if v} | elsewhere
    before = ""
    for entry, text in found.items():
        text = text or elsewhere.get(entry) or f"as `{before}`"
        before = before if text.startswith("as `") else entry
        found[entry] = text.rstrip(".")
    return found


def _described_fields(module: ModuleType, name: str) -> dict[str, str]:
    """Fields of a class of the module and the texts below them; nothing for a name that is no class."""
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            found = {}
            for field, after in zip(node.body, [*node.body[1:], None], strict=True):
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    text = after.value if isinstance(after, ast.Expr) else None
                    found[field.target.id] = text.value if isinstance(text, ast.Constant) else ""
            return {entry: str(text) for entry, text in found.items()}
    return {}


def _commented_lists(module: ModuleType) -> list[str]:
    """Names of the tuples of texts that a module assigns."""
    return [
        name
        for name, value in vars(module).items()
        if name.endswith("_FEATURES") and isinstance(value, tuple)
    ]


def _commented_names(module: ModuleType, name: str) -> dict[str, str]:
    """Texts of a tuple and the comments behind them."""
    found: dict[str, str] = {}
    inside = False
    last = ""
    for token in tokenize.generate_tokens(io.StringIO(inspect.getsource(module)).readline):
        if token.type == tokenize.NAME and token.string == name and token.start[1] == 0:
            inside = True
        elif inside and token.type == tokenize.STRING:
            last = ast.literal_eval(token.string)
            found[last] = ""
        elif inside and token.type == tokenize.COMMENT and last:
            found[last] = token.string.lstrip("# ")
        elif inside and token.type == tokenize.NEWLINE:
            break
    return found


def environments() -> dict[str, Any]:
    """Return the specifications of the environments of the package by short name, as registered."""
    return {
        name.split("/")[1]: spec
        for name, spec in gym.registry.items()
        if name.startswith("dtao_gym/")
        and ROLES[spec.kwargs["role"]].__module__.startswith("dtao_gym.")
    }


def features_of(role: str, twin: bool = False) -> dict[str, dict[str, str]]:
    """Return the features of a role: heading of each part, then entries and descriptions."""
    if role == "builder":
        parts = {
            "For each other slot, in order": described_entries(
                builder_observation, "RIVAL_FEATURES"
            ),
            "The own subnet": described_entries(builder_observation, "OWN_FEATURES"),
            "The market": described_entries(builder_observation, "MARKET_FEATURES"),
        }
        if twin:
            lead = described_entries(builder_twin, "TWIN_FEATURES")
            parts["With `twin_world`, the lead over the twin"] = {
                entry: f"own less the twin's stock {text}" if text.startswith("/ ") else text
                for entry, text in lead.items()
            }
        return parts
    return {
        "For each subnet, in the order of slots": described_entries(
            staker_observation, "SubnetFeatures"
        ),
        "Once, at the end": described_entries(staker_observation, "GLOBAL_FEATURES"),
    }


def info_rows(env: gym.Env) -> list[tuple[str, str, str]]:
    """Return key, type and meaning of each entry of the info of a step."""
    env.reset(seed=0)
    info = env.step(env.action_space.sample() * 0)[-1]
    rows = []
    for key, value in info.items():
        array = np.asarray(value)
        kind = {"b": "bool", "i": "int", "f": "float"}[array.dtype.kind]
        shape = "(n_subnets,) " if array.shape else ""
        rows.append((f"`{key}`", f"{shape}{kind}", INFOS[key]))
    return rows


def paragraph(role: str, first: str) -> str:
    """Return the paragraph of a role's docstring that begins with a word; of the roles that it extends if need be."""
    for cls in role_named(role).__mro__:
        for text in textwrap.dedent(inspect.getdoc(cls) or "").split("\n\n"):
            if text.startswith(first):
                return " ".join(text.split())
    raise ValueError(f"{role}: no paragraph {first!r} in the docstring of the role")


def _space_lines(name: str) -> list[str]:
    """Spaces of an environment; sizes that depend on the number of subnets are formulas in it."""
    few, more = (gym.make(f"dtao_gym/{name}", n_subnets=n) for n in (N_SHOWN, N_SHOWN + 1))
    rows = []
    for space in ("action", "observation"):
        one, two = getattr(few, f"{space}_space"), getattr(more, f"{space}_space")
        text = str(one).replace("1.0", "1")
        if one.shape and one.shape != two.shape:
            slope = two.shape[0] - one.shape[0]
            size = (
                f"{'' if slope == 1 else f'{slope} '}n_subnets + {one.shape[0] - slope * N_SHOWN}"
            )
            text = text.replace(str(one.shape[0]), size)
        rows.append((space, f"`{text}`"))
    few.close()
    more.close()
    return table(("space", "value"), rows)


def _observation_lines(role: str) -> list[str]:
    lines = [
        "## Observation",
        "",
        "float32; every entry is within [-1, 1], and arrays are fresh at each step. "
        + ("`signal_value`, `mean_signal_value`, `claimable` and `fund_value` are 0 in a replay." if role == "replay" else "Nothing hidden is in it: all of it is public, or the agent's own."),
    ]  # fmt: skip
    for heading, entries in features_of(role, twin=role == "builder").items():
        rows = [
            (f"`{entry}`", "-1 to 1", escaped(text).replace("|", "\\|"))
            for entry, text in entries.items()
        ]
        size = f"{len(rows)} entries"
        lines += ["", f"### {heading}", "", f"{size}:", "", *table(("entry", "range", "meaning"), rows)]  # fmt: skip
    return lines


def environment_page(name: str, env: gym.Env, role: str) -> str:
    """Return the page of an environment with spaces of its own."""
    actions: Iterable = [
        (position, entry, "-1 to 1", text) for position, entry, text in ACTIONS[role]
    ]
    config = "ReplayConfig" if role == "replay" else "TaskConfig"
    lines = [
        f"# {name}",
        "",
        f"{SUMMARIES[name]} Every keyword of `gym.make(\"dtao_gym/{name}\", ...)` is a field of [{config}](settings-{config.lower()}.md).",
        "",
        *_space_lines(name),
        "",
        "## Action",
        "",
        "float32. An entry that exceeds -1 or 1 by at most 1e-6 is taken as -1 or 1; beyond that it is an error that names it.",
        "",
        *table(("position", "entry", "range", "meaning"), actions),
    ]  # fmt: skip
    if role == "builder":
        lines += [
            "",
            "With `builder_decides: composition` an action is the two logits alone (one without `influence`). Decisions hold from the next day until the next step.",
        ]
    lines += ["", *_observation_lines(role)]
    lines += [
        "",
        "## Reward",
        "",
        paragraph(role, "Reward")
        .removeprefix("Reward: ")
        .replace("change", "Change", 1)
        .replace("the owner", "The owner", 1),
    ]
    lines += ["", "## Ends", "", paragraph(role, "Terminated").replace("Terminated", "`terminated`", 1) + " " + TRUNCATED]  # fmt: skip
    lines += ["", "## Info", "", "Keys of the info of every `reset` and `step`:", ""]
    lines += table(("key", "type", "meaning"), info_rows(env))
    return "\n".join(lines) + "\n"


def variant_page(name: str, spec: Any) -> str:
    """Return the page of an environment that differs from another one in keywords or actions alone."""
    role = spec.kwargs["role"]
    base = f"{role.title()}-v0"
    fixed = ", ".join(f"`{k}={v}`" for k, v in spec.kwargs.items() if k != "role")
    lines = [
        f"# {name}",
        "",
        f"{SUMMARIES[name]} Observation, reward, ends and info are those of [{base}]({base.lower()}.md); default: {fixed}.",
        "",
        *_space_lines(name),
    ]
    if spec.additional_wrappers:
        rows = [
            (str(k), f"`{choice}`", *(f"{value:g}" for value in decisions.values()))
            for k, (choice, decisions) in enumerate(CHOICES.items())
        ]
        columns = [column.replace("_", " ") for column in next(iter(CHOICES.values()))]
        lines += ["", "## Action", "", "One of seven decisions; influence is as the configuration says:", ""]  # fmt: skip
        lines += table(("action", "name", *columns), rows)
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """Return the text of each page by file name, and an overview."""
    texts, rows = {}, []
    for name, spec in environments().items():
        role = spec.kwargs["role"]
        variant = name.split("-")[0].lower() != role
        env = gym.make(f"dtao_gym/{name}", n_subnets=N_SHOWN)
        text = variant_page(name, spec) if variant else environment_page(name, env, role)
        texts[f"{name.lower()}.md"] = text
        rows.append((f"[{name}]({name.lower()}.md)", SUMMARIES[name]))
        env.close()
    text = (
        "`import dtao_gym` registers these ids; `gym.make_vec` takes all but the discrete one. Many agents in one "
        "world: `dtao_gym.parallel_env`, in [the API](../api.md)."
    )
    texts["environments.md"] = overview("Environments", text, ("id", "environment"), rows, texts)
    return texts
