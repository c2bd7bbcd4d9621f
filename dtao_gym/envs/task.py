"""Parameters of a task: what is asked of an agent in a world."""

from typing import Any, Literal, Self, cast

from pydantic import Field, model_validator

from dtao_gym.world.config import Config, ConfigError


class TaskConfig(Config, frozen=True):
    """All parameters of a world, and of the task that an agent has in it.

    The parameters of both are keywords of one level: ``TaskConfig.make(n_subnets=8, days_per_step=7)``.
    """

    days_per_step: int = Field(
        1,
        ge=1,
        le=28,
        description="Days between two decisions; the last step of an episode may run past the horizon.",
    )
    builder_slot: int = Field(
        0, ge=0, le=127, description="Slot of the learning builder, in environments of one builder."
    )
    builder_decides: Literal["all", "composition"] = Field(
        "all",
        description="What the learning builder decides: everything, or the division of its budget alone.",
    )
    consumption_scale_tao: float = Field(
        10.0, gt=0.0, le=1e6, description="Consumption, TAO, that is a builder's reward of 1."
    )
    terminal_value: bool = Field(
        False,
        description="Add the value of the stocks, as fees would pay it, to a builder's last reward.",
    )
    reward_noise: bool = Field(
        False,
        description="Multiply a builder's fees by the opinion of the subnet, mean one, as a price would.",
    )
    twin_world: bool = Field(
        False,
        description="Rewards are differences to a world of the same shocks with a scripted builder; its lead is observed.",
    )

    @model_validator(mode="after")
    def _rewards_of_builders(self) -> Self:
        if self.reward_noise and self.payment != "fee":
            raise ConfigError(
                f"reward_noise: got True with payment {self.payment!r}, allowed is it with 'fee': prices bring their own"
            )
        if self.terminal_value and (self.payment, self.finance, self.horizon) != (
            "fee", False, "fixed",
        ):  # fmt: skip
            raise ConfigError(
                f"terminal_value: got True with payment {self.payment!r}, finance {self.finance}, horizon "
                f"{self.horizon!r}, allowed is it with 'fee', False, 'fixed'"
            )
        if self.twin_world and self.era_part("pruning") and self.arrivals_per_slot_year > 0.0:
            raise ConfigError(
                "twin_world: got True with pruning and arrivals, allowed is it without one of them: "
                "an early end would save the twin's part"
            )
        return self

    def with_stakers(self, n_stakers: int) -> "TaskConfig":
        """Return the configuration with this number of staker accounts. Raises ConfigError where another is set."""
        made = self
        if "n_stakers" not in self.model_fields_set:
            made = TaskConfig.make(self, n_stakers=n_stakers)
        if made.n_stakers != n_stakers:
            raise ConfigError(
                f"n_stakers: got {made.n_stakers}, allowed is {n_stakers} in this environment"
            )
        return cast(TaskConfig, made)


def task_of(batch: Any) -> TaskConfig:
    """Return the task of a batch's worlds, which share it."""
    return cast(TaskConfig, batch.configs[0])
