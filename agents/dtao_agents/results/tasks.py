"""Tasks whose results are cached by the hash of their inputs, run on any backend."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dtao_agents import backends
from dtao_agents.cache import Store

TaskResult = tuple[Any, dict[str, np.ndarray]]
"""A JSON record and arrays."""


class Task(NamedTuple):
    """A computation whose result is cached.

    Attributes
    ----------
    name : str
        For people and file names.
    key : str
        Hash of all inputs of the result.
    function : callable
        ``function(*arguments)`` returns a JSON record and arrays; importable by name.
    arguments : tuple
        Picklable.
    files : tuple of Path
        Files that must exist for a cached result to count.
    """

    name: str
    key: str
    function: Callable[..., tuple[Any, Mapping[str, np.ndarray]]]
    arguments: tuple
    files: tuple[Path, ...] = ()


def cached_result(task: Task, store: Store) -> TaskResult | None:
    """Return the result of an earlier run, None if there is none."""
    result = store.load(task.name, task.key)
    return result if result and all(path.is_file() for path in task.files) else None


def run_tasks(
    tasks: Sequence[Task],
    store: Store,
    workers: int | None,
    progress: Callable[[Task, bool], None],
    backend: str = "processes",
    *,
    threads: int = 1,
    address: str | None = None,
) -> list[TaskResult]:
    """Return results in the order of the tasks; skips cached tasks.

    Parameters
    ----------
    tasks : sequence of Task
    store : Store
        Cache of results, to which only this process writes.
    workers : int, optional
        Tasks side by side, see `dtao_agents.backends.run_tasks`; one process is this one.
    progress : callable
        Called as ``progress(task, computed)`` for each result; `computed` is False for cached ones.
    backend : str
        One of `dtao_agents.backends.BACKENDS`.
    threads : int
        Threads of a task, the processors that Ray reserves for it.
    address : str, optional
        Address of the Ray cluster.

    Raises
    ------
    BackendError, TaskError, Exception
        As `dtao_agents.backends.run_tasks`; results so far are kept.
    """
    missing = []
    for task in tasks:
        if cached_result(task, store):
            progress(task, False)
        else:
            missing.append(task)

    def save(index: int, result: tuple[Any, Mapping[str, np.ndarray]]) -> None:
        task, (record, arrays) = missing[index], result
        store.save(task.name, task.key, record, arrays)
        progress(task, True)

    if backend == "processes" and (workers == 1 or len(missing) == 1):
        backend = "local"
    backends.run_tasks(
        [
            backends.Task(task.name, functools.partial(task.function, *task.arguments))
            for task in missing
        ],
        backend,
        workers,
        save,
        cpus_per_task=threads,
        address=address,
    )
    results = []
    for task in tasks:
        result = store.load(task.name, task.key)  # as a later run reads it
        if result is None:
            raise RuntimeError(f"{task.name}: its result is not in {store.folder}")
        results.append(result)
    return results
