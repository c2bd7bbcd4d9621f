"""Cells of a plan: one institution in one setting, and the ladder of references that leads to it.

A reference is a market whose builders are paid by users for exactly their own value (the fee arm). The ladder of an arm has the
steps fee, fee with finance, fee with finance and pruning, arm: each differs from the next in one thing only, and the last step, from
the nearest reference to the arm, in payment alone.
"""

import itertools
from typing import Any, NamedTuple

from dtao_agents.claims.full_market import institution_fields
from dtao_agents.equilibrium.slot_records import SlotSettings
from dtao_agents.probe.plan import Block, Plan, Strategy, base_world
from dtao_gym.world.config import Config, ConfigError

FEE = "fee"
"""Name of the references."""


class Cell(NamedTuple):
    """One institution in one setting, to be solved for the strategy of builders.

    Attributes
    ----------
    block : str
        Name of the block.
    institution : str
        Allocation rule or fund; `FEE` for a reference.
    changes : tuple of (str, value)
        World parameters that differ from the base world beyond institution, payment, pruning and moving price.
    strategy : Strategy
        What builders choose.
    config : Config
        The world.
    estimated : bool
        Whether the c_bar of the uninformed is estimated; without pruning nobody's view matters to a reference.
    estimator : SlotSettings
        Settings of the estimator.
    arm : tuple
        Institution, payment, pruning and moving price of the block, before the changes.
    """

    block: str
    institution: str
    changes: tuple[tuple[str, Any], ...]
    strategy: Strategy
    config: Config
    estimated: bool
    estimator: SlotSettings
    arm: tuple[str, str, bool, str]

    @property
    def pruning(self) -> bool:
        """Whether newcomers displace the weakest subnet."""
        return bool(self.config.pruning)

    @property
    def payment(self) -> str:
        """How owners are paid."""
        return self.config.payment

    @property
    def moving_price(self) -> str:
        """Speed of the moving price."""
        return self.config.moving_price_variant

    @property
    def place(self) -> str:
        """Payment, pruning and moving price in words, and the strategy if it is not one share."""
        parts = [self.payment, "pruning" if self.pruning else "no pruning", self.moving_price]
        if self.payment == "fee":
            parts[0] = "finance" if self.config.finance else "no finance"
        if self.strategy != "share":
            parts.append(self.strategy)
        return ", ".join(parts)

    @property
    def setting(self) -> str:
        """Everything but the institution, in words."""
        changes = [f"{name} {value}" for name, value in self.changes if name != "pruning"]
        return ", ".join([self.place, *changes])

    @property
    def name(self) -> str:
        """Name in tables and file names."""
        rule = f" ({self.config.allocation})" if self.institution == FEE and self.pruning else ""
        return f"{self.institution}{rule}, {self.setting}"


def cells_of_block(plan: Plan, block: Block) -> list[Cell]:
    """Arms of a block, without their references; raises `ConfigError` for a bad world."""
    world = base_world(plan)
    estimator = plan.estimator_of(block)
    cells = []
    for institution, payment, pruning, speed, changes in itertools.product(
        block.institutions,
        block.payments,
        block.pruning,
        block.moving_prices,
        all_changes(block),
    ):
        fields: dict[str, Any] = institution_fields(institution) | {
            "payment": payment,
            "pruning": pruning,
            "moving_price_variant": speed,
            "influence": block.strategy == "influence" or world.influence,
        }
        config = Config.make(world, **fields | dict(changes))
        arm = institution, payment, pruning, speed
        cells.append(
            Cell(block.name, institution, changes, block.strategy, config, True, estimator, arm)
        )
    return cells


def all_changes(block: Block) -> list[tuple[tuple[str, Any], ...]]:
    """World parameters of the cells of a block: doses, times channels, or points of its Sobol design."""
    if block.sobol is not None:
        names = list(block.sobol.ranges)
        return [tuple(zip(names, point, strict=True)) for point in sobol_points(block)]
    switches = [
        tuple(pairs)
        for count in range(len(block.channels) + 1)
        for pairs in itertools.combinations(block.channels.items(), count)
    ]
    return [(*dose.items(), *off) for dose in block.doses for off in switches]


def sobol_points(block: Block) -> list[list[float]]:
    """Points of Saltelli's scheme, `(points x (parameters + 2), parameters)`, rounded to 6 digits."""
    assert block.sobol is not None
    try:
        from SALib.sample import sobol
    except ImportError:
        raise ConfigError(
            'sobol: SALib is missing; install it with pip install "dtao-gym[train]"'
        ) from None
    problem = salib_problem(block)
    points = sobol.sample(problem, block.sobol.points, calc_second_order=False, seed=0)
    return [[float(f"{value:.6g}") for value in point] for point in points]


def salib_problem(block: Block) -> dict[str, Any]:
    """Names and bounds of a Sobol design, as SALib takes them."""
    assert block.sobol is not None
    ranges = block.sobol.ranges
    return {"num_vars": len(ranges), "names": list(ranges), "bounds": list(ranges.values())}


def ladder(cell: Cell) -> tuple[Cell, ...]:
    """References of an arm, from the plain fee arm to the nearest one: two without pruning, three with it.

    Without pruning the fee arm does not depend on allocation and moving price, so all arms share one reference. Its builders
    choose one research share: neither influence nor a reaction to prices pays there.
    """
    if cell.institution == FEE:
        return ()
    rungs = [(False, False), (True, False)] if cell.config.finance else [(False, False)]
    if cell.pruning:
        rungs.append((cell.config.finance, True))
    return tuple(_reference(cell, finance, pruning) for finance, pruning in rungs)


def _reference(cell: Cell, finance: bool, pruning: bool) -> Cell:
    changes: dict[str, Any] = {"payment": "fee", "finance": finance, "pruning": pruning}
    if not pruning:
        changes |= {"allocation": "price", "moving_price_variant": "fast"}
        changes |= {"root_dividend": Config.model_fields["root_dividend"].default}
    config = Config.make(cell.config, influence=False, **changes)
    return cell._replace(institution=FEE, strategy="share", config=config, estimated=pruning)


def all_cells(plan: Plan) -> list[Cell]:
    """Cells of a plan in the order of its blocks, each followed by its references; every world once."""
    cells: dict[tuple[Any, ...], Cell] = {}
    for block in plan.blocks:
        for cell in cells_of_block(plan, block):
            references = ladder(cell) if block.references and block.sobol is None else ()
            for each in (cell, *references):
                cells.setdefault(identity(each), each)
    return list(cells.values())


def identity(cell: Cell) -> tuple[Any, ...]:
    """What a cell asks. The first cell of a plan that asks it sets the estimator."""
    return cell.strategy, cell.config.model_dump_json(), cell.estimated
