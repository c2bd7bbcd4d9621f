"""Chain vectors against the rules of this package: `python -m dtao_gym.conformance [PATH...] [--json]`.

A file of vectors is a JSON list of `{name, era, inputs, expected, tolerance[, source, kind, note]}`; its stem is
the category. `expected` lists the results to check; a result passes if |got - expected| <= max(abs, rel |expected|).
The vectors run against the functions that the engine calls.
"""

import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dtao_gym import (
    command_line,
    conformance_emission,
    conformance_funds,
    conformance_lifecycle,
    conformance_pool,
)
from dtao_gym.conformance_vectors import Inputs, VectorError, is_number
from dtao_gym.package_data import golden_vectors

ADAPTERS = (
    conformance_emission.ADAPTERS
    | conformance_pool.ADAPTERS
    | conformance_lifecycle.ADAPTERS
    | conformance_funds.ADAPTERS
)
"""Function (inputs, label of the era) -> results by name, for every category."""

SKIPPED = {"yuma": "consensus among single validators and miners is not simulated"}
"""Categories without an adapter, each with the reason."""

KEYS = {"name", "era", "source", "kind", "inputs", "expected", "tolerance", "note"}
NEEDED_KEYS = ("name", "era", "inputs", "expected", "tolerance")

PLAIN_NUMBERS = ("price", "share", "proportion", "weight", "rate", "rank", "trust", "consensus")
"""Words in the names of results that are not amounts of rao; a tolerance of n rao is 1e-9 n there."""


@dataclass(frozen=True)
class Failure:
    """A result that differs from the chain's, or a vector that could not be run (`reason`)."""

    vector: str
    field: str = ""
    got: Any = None
    expected: Any = None
    allowed: float | None = None
    """Largest difference that passes."""
    reason: str = ""

    def __str__(self) -> str:
        if self.reason:
            return f"{self.vector}: {self.reason}"
        line = f"{self.vector}: {self.field}: got {self.got!r}, expected {self.expected!r}"
        return line if self.allowed is None else f"{line}, allowed is +-{self.allowed:.3g}"


@dataclass
class CategoryReport:
    """Outcome of one file of vectors."""

    category: str
    path: str
    passed: int = 0
    failed: int = 0
    worst_error: float = 0.0
    """Largest difference as a fraction of the tolerance; infinite for any difference at a tolerance of 0."""
    failures: list[Failure] = field(default_factory=list)
    skipped: str = ""
    """Reason why no vector was run; empty if they were."""


@dataclass
class Report:
    """Outcome of all files."""

    categories: list[CategoryReport] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    """One line for each input that could not be read."""

    @property
    def exit_code(self) -> int:
        """2 if an input could not be read, else 1 if a vector failed, else 0."""
        if self.unreadable:
            return 2
        return 1 if any(category.failed for category in self.categories) else 0

    def to_json(self) -> str:
        """The report as JSON; an infinite worst error is null, a number that is not finite is text."""
        categories = [asdict(category) for category in self.categories]
        for category in categories:
            if math.isinf(category["worst_error"]):
                category["worst_error"] = None
        content = {"exit_code": self.exit_code, "unreadable": self.unreadable}
        content["categories"] = _plain(categories)
        return json.dumps(content, indent=1, allow_nan=False)


def check_path(paths: str | Path | Sequence[str | Path]) -> Report:
    """Run the vectors of files and of every `*.json` in folders, in order.

    The content of files raises no error: a vector that cannot be run counts as failed, a file that cannot be read is
    a line in `Report.unreadable`.
    """
    report = Report()
    for path in [paths] if isinstance(paths, str | Path) else paths:
        path = Path(path)
        try:
            files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        except (OSError, ValueError) as error:
            report.unreadable.append(_printable(f"{path}: {error}"))
            continue
        if not files:
            report.unreadable.append(
                _printable(f"{path}: got a folder without *.json, allowed are files of vectors")
            )
        for file in files:
            try:
                report.categories.append(_check_file(file))
            except (OSError, ValueError, RecursionError, MemoryError) as error:
                report.unreadable.append(_printable(f"{file}: {error}"))
    return report


def _check_file(path: Path) -> CategoryReport:
    """Raises OSError or ValueError if the file cannot be read as vectors."""
    category, report = path.stem, CategoryReport(_printable(path.stem), _printable(str(path)))
    if path.exists() and not path.is_file():  # which a pipe or a device would not end
        raise ValueError("got no regular file, allowed is a file of vectors")
    vectors = json.loads(path.read_text(encoding="utf-8"))
    if category in SKIPPED:
        report.skipped = SKIPPED[category]
        return report
    if category not in ADAPTERS:
        known = ", ".join([*ADAPTERS, *SKIPPED])
        raise ValueError(f"category: got {category!r} (the file's name), allowed are {known}")
    if not isinstance(vectors, list):
        raise ValueError(f"content: got {type(vectors).__name__}, allowed is a list of vectors")
    for index, vector in enumerate(vectors):
        failures, worst = check_vector(category, vector, f"{category}[{index}]")
        report.failed += bool(failures)
        report.passed += not failures
        report.failures += failures
        report.worst_error = max(report.worst_error, worst)
    return report


def check_vector(category: str, vector: Any, label: str = "") -> tuple[list[Failure], float]:
    """Failures of one vector and its worst error as a fraction of the tolerance.

    Parameters
    ----------
    category : str
        Key of `ADAPTERS`.
    vector : dict
        Read from JSON.
    label : str
        Name in failures of a vector that has none.
    """
    if isinstance(vector, dict) and isinstance(vector.get("name"), str):
        label = _printable(f"{category}/{_shortened(vector['name'])}")
    try:
        got = run_vector(category, vector)
        results = list(_compare(vector["tolerance"], (), vector["expected"], got))
    except VectorError as error:
        return [Failure(label, reason=_printable(_shortened(str(error), 1000)))], 0.0
    except (ValueError, RecursionError) as error:  # numbers too long for text, lists in lists
        return [Failure(label, reason=f"cannot be run: {type(error).__name__}: {error}")], 0.0
    failures, worst = [], 0.0
    for name, value, expected, allowed, error in results:
        worst = max(worst, error)
        if error > 1.0:
            failures.append(Failure(label, name, value, expected, allowed))
    return failures, worst


def run_vector(category: str, vector: Any) -> dict[str, Any]:
    """Results of the rules for a vector's inputs. Raises `VectorError`."""
    if not isinstance(vector, dict):
        raise VectorError(f"vector: got {vector!r}, allowed is an object")
    missing = [key for key in NEEDED_KEYS if key not in vector]
    unknown = sorted(set(vector) - KEYS)
    if missing or unknown:
        parts = [f"{', '.join(missing)} missing"] if missing else []
        parts += [f"unknown {', '.join(unknown)}"] if unknown else []
        raise VectorError(f"vector: {'; '.join(parts)}")
    for key, kind in (("name", str), ("era", str), ("expected", dict), ("tolerance", dict)):
        if not isinstance(vector[key], kind):
            allowed = "text" if kind is str else "an object"
            raise VectorError(f"{key}: got {vector[key]!r}, allowed is {allowed}")
    if not vector["expected"]:
        raise VectorError("expected: got nothing, allowed is at least one result")
    inputs = Inputs(vector["inputs"])
    try:
        got = ADAPTERS[category](inputs, vector["era"])
    except VectorError:
        raise
    except Exception as error:  # the other vectors run on
        raise VectorError(
            f"inputs cannot be computed with: {type(error).__name__}: {error}"
        ) from error
    inputs.check_all_read()
    return got


def _compare(
    tolerance: dict, names: tuple[str, ...], expected: Any, got: Any
) -> Iterator[tuple[str, Any, Any, float | None, float]]:
    """(field, got, expected, allowed, error as a fraction of allowed) of this result, or of each part of it."""
    where = ".".join(names)
    if isinstance(expected, dict):
        if not isinstance(got, dict):
            raise VectorError(
                f"expected.{where}: got an object, allowed is a value like the rule's, {got!r}"
            )
        unknown = sorted(set(expected) - set(got))
        if unknown:
            there = ", ".join(map(str, got))
            raise VectorError(
                f"expected{'.' if where else ''}{where}: unknown {', '.join(unknown)}; "
                f"with these inputs there are {_shortened(there)}"
            )
        for key, value in expected.items():
            yield from _compare(tolerance, (*names, key), value, got[key])
    elif isinstance(expected, list):
        if not isinstance(got, list | np.ndarray) or len(got) != len(expected):
            size = len(got) if isinstance(got, list | np.ndarray) else "no list"
            raise VectorError(f"expected.{where}: got a list of {len(expected)}, allowed is {size}")
        for index, value in enumerate(expected):
            last = f"{names[-1]}[{index}]"
            yield from _compare(tolerance, (*names[:-1], last), value, got[index])
    elif expected is None or isinstance(expected, bool):
        yield where, got, expected, None, 0.0 if got is expected else math.inf
    elif is_number(expected):
        allowed = _allowed(tolerance, names, expected)
        if not _is_finite(got):
            yield where, got, expected, allowed, math.inf
            return
        with np.errstate(over="ignore"):  # what leaves the range of numbers is infinitely far
            difference = abs(got - expected)
            exact = 0.0 if difference == 0.0 else math.inf
            distance = difference / allowed if allowed > 0.0 else exact
        yield where, got, expected, allowed, distance
    else:
        raise VectorError(
            f"expected.{where}: got {expected!r}, allowed is a number, true, false or null"
        )


def _allowed(tolerance: dict, names: tuple[str, ...], expected: float) -> float:
    """Largest difference that passes: max(abs, rel |expected|), or a field's own, such as `price_rel`."""
    absolute = relative = 0.0
    special = None
    for key, value in tolerance.items():
        word, _, kind = key.rpartition("_")
        if kind not in ("abs", "rel") or not is_number(value) or value < 0.0:
            raise VectorError(
                f"tolerance: got {key} = {value!r}, allowed are numbers of 0 or more named abs, rel, "
                "or a word with _abs or _rel"
            )
        # whole numbers of hundreds of digits would not fit a float when they are divided by
        scaled = float(value) * abs(float(expected)) if kind == "rel" else float(value)
        if word:
            if any(word in name for name in names):
                special = max(special or 0.0, scaled)
        elif kind == "abs":
            absolute = scaled
        else:
            relative = scaled
    if special is not None:
        return special
    is_plain = any(word in names[-1] for word in PLAIN_NUMBERS)
    if absolute >= 1.0 and is_plain and not any("_rao" in name for name in names):
        absolute *= 1e-9
    return max(absolute, relative)


def _is_finite(got: Any) -> bool:
    """Whether a result is a finite number."""
    if isinstance(got, bool) or not isinstance(got, int | float | np.integer | np.floating):
        return False
    return bool(abs(got) < 1e300)


def _shortened(text: str, length: int = 200) -> str:
    return text if len(text) <= length else text[: length - 4] + " ..."


def _printable(text: str) -> str:
    """Text on one line, without control sequences of terminals and without halves of characters."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _plain(value: Any) -> Any:
    """A value with NumPy's types replaced by Python's."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def show(report: Report) -> None:
    """Print the table of categories and a line for every failure."""
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=True)
    table = Table()
    table.add_column("category", no_wrap=True)
    for name in ("passed", "failed", "worst error*"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for category in report.categories:
        numbers = str(category.passed), str(category.failed), f"{category.worst_error:.3g}"
        cells = (
            ("-", "-", "-", f"skipped: {category.skipped}") if category.skipped else (*numbers, "")
        )
        table.add_row(category.category, *cells)
    console.print(table)
    console.print("* as a fraction of the vector's own tolerance; up to 1 passes", highlight=False)
    for category in report.categories:
        for failure in category.failures:
            console.print(f"failed: {failure}", highlight=False, markup=False)


def main(
    arguments: Sequence[str] | None = None, program: str = "python -m dtao_gym.conformance"
) -> int:
    """The command line; returns the exit code."""
    command_line.require_extra(program, exit_code=2)
    import tyro

    def run(
        paths: tyro.conf.Positional[tuple[Path, ...]] = (),
        json: tyro.conf.FlagCreatePairsOff[bool] = False,
    ) -> int:
        """Run chain vectors against the rules of dtao_gym.

        Exits with 0 if all pass, 1 if a vector fails, 2 if an input cannot be read.

        Args:
            paths: Files of vectors (the name is the category), or folders of such files; none: the packaged ones.
            json: Print the report as JSON instead of a table.
        """
        report = check_path(paths or golden_vectors())
        if json:
            print(report.to_json())
        else:
            show(report)
        for line in report.unreadable:
            print(f"error: {line}", file=sys.stderr)
        return report.exit_code

    return command_line.call(run, program, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
