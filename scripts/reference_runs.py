"""Page of the reference on the folder of a run: its files, the columns of metrics.csv, the tags of TensorBoard."""

from dtao_agents.training.multi_agent import STATISTICS
from dtao_agents.training.multi_agent_run import columns as columns_of_roles
from dtao_agents.training.multi_agent_settings import MultiAgentConfig
from dtao_agents.training.run_folder import METRICS

from scripts.markdown import table

FILES = {
    "config.yaml": ("train", "all settings, resolved: `dtao train RUN/config.yaml` repeats the run"),
    "manifest.json": ("train", "status, seeds, versions, commit, processor, time and speed; of an interrupted run how far it came and why it stopped"),
    "metrics.csv": ("train", "a row per update, see below"),
    "tensorboard/": ("train", "the same for TensorBoard: `tensorboard --logdir runs`"),
    "checkpoints/": ("train", "state of training as tensors and JSON with a checksum, for `--resume`"),
    "learning_curve.png": ("train", "rewards over steps"),
    "policy.safetensors": ("train", "parameters of the policy: data, not code"),
    "policy.json": ("train", "its card: role, network, sizes, features, hash of the task, version"),
    "evaluation.json": ("evaluate", "means, intervals and paired differences of all policies"),
    "evaluation.csv": ("evaluate", "a row per policy and evaluation seed"),
    "evaluation.png": ("evaluate", "wealth, or consumption, over days"),
    "replay.json": ("evaluate --replay", "growth of all policies on real prices, with intervals"),
    "replay.csv": ("evaluate --replay", "a row per policy and day"),
}  # fmt: skip
"""Files of the run of one role: the command that writes them, and their content. A test makes such a run."""
FILES_OF_MANY = {
    "ROLE/policy.safetensors, ROLE/policy.json": "the policy of each role",
    "exploitability.json": "gain of the best deviation of one member, the others frozen, by role",
}
METRICS_TEXTS = {
    "timesteps": "steps so far, all worlds together",
    "seconds": "time of training so far, without evaluation",
    "steps_per_second": "their ratio",
    "reward_per_year": "mean reward of the rollout, scaled to a year, with exploration",
    "episodes": "episodes that ended in the rollout",
    "episode_reward_per_year": "mean over the last episodes",
    "learning_rate": "step of Adam",
    "policy_loss": "loss of PPO's clipped objective",
    "value_loss": "squared error of values, of rewards times `reward_scale`",
    "approx_kl": "approximate divergence of the update",
    "clip_fraction": "part of the samples whose ratio was clipped",
    "explained_variance": "part of the variance of returns that values explain",
    "exploration_std": "mean standard deviation of exploration",
    "episode_reward": "mean over the last episodes",
}
"""Meaning of the columns of metrics.csv."""


def pages() -> dict[str, str]:
    """Return the page by its file name. Raises KeyError for a column without a meaning."""
    lines = [
        "# Run folder",
        "",
        "`dtao train` writes a folder, `dtao evaluate` adds to it. Files are written atomically: a killed run leaves no "
        "half of one. Loading a policy runs no code of it.",
        "",
        *table(("file", "written by", "content"), [(f"`{n}`", f"`{c}`", t) for n, (c, t) in FILES.items()]),
        "",
        "With `--seeds` each seed has such a folder, `seed_<number>`, in that of the run.",
        "",
        "A run of many agents has neither `policy.*` nor evaluations in its folder, but",
        "",
        *table(("file", "content"), [(", ".join(f"`{n}`" for n in names.split(", ")), t) for names, t in FILES_OF_MANY.items()]),
        "",
        "## Metrics, and tags of TensorBoard",
        "",
        "Columns of `metrics.csv`; all but the first are tags of TensorBoard, over steps.",
        "",
        *table(("column", "meaning"), [(f"`{name}`", METRICS_TEXTS[name]) for name in METRICS]),
        "",
    ]  # fmt: skip
    settings = MultiAgentConfig.make()
    names = columns_of_roles(settings)
    role = next(iter(settings.roles))
    own = [name for name in names if name.startswith(f"{role}_")]
    rows = [
        (f"`ROLE_{name.removeprefix(role + '_')}`", METRICS_TEXTS[name.removeprefix(role + "_")])
        for name in own
    ]
    assert {name.removeprefix(f"{role}_") for name in own} >= set(STATISTICS)
    lines += [
        f"In a run of many agents these follow the first three, for `ROLE` in {', '.join(f'`{r}`' for r in settings.roles)}:",
        "",
        *table(("column", "meaning"), rows),
    ]
    return {"run-folder.md": "\n".join(lines) + "\n"}
