"""Work that is done once: each task by the hash of all that it depends on, several side by side."""

import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dtao_agents.cache import Store

Found = tuple[Any, dict[str, np.ndarray]]
"""A JSON record and arrays."""


class Task(NamedTuple):
    """Something to be found out.

    Attributes:
        name: for people and file names.
        key: hash of all that the result depends on.
        function: `function(*arguments)` returns a JSON record and arrays; importable by name.
        arguments: that a process can be handed.
        files: that must be there for an earlier result to count.
    """

    name: str
    key: str
    function: Callable[..., tuple[Any, Mapping[str, np.ndarray]]]
    arguments: tuple
    files: tuple[Path, ...] = ()


def found_before(task: Task, store: Store) -> Found | None:
    """The result of an earlier run, if there is one."""
    found = store.load(task.name, task.key)
    return found if found and all(path.is_file() for path in task.files) else None


def perform(task: Task, folder: Path) -> None:
    """Do a task and keep its result in a store."""
    record, arrays = task.function(*task.arguments)
    Store(folder).save(task.name, task.key, record, arrays)


def run_tasks(
    tasks: Sequence[Task], store: Store, workers: int, tell: Callable[[Task, bool], None]
) -> list[Found]:
    """Results in the order of the tasks; only what is not in the store is done.

    Args:
        tasks: what to find out.
        store: where results are kept.
        workers: processes; with 1 all is done in this one.
        tell: called as `tell(task, done_now)` when a task's result is there.
    """
    missing = []
    for task in tasks:
        if found_before(task, store):
            tell(task, False)
        else:
            missing.append(task)
    if workers == 1 or len(missing) < 2:
        for task in missing:
            perform(task, store.folder)
            tell(task, True)
    else:
        _side_by_side(missing, store, workers, tell)
    results = []
    for task in tasks:
        found = found_before(task, store)
        if found is None:
            raise RuntimeError(f"{task.name}: its result is not in {store.folder}")
        results.append(found)
    return results


def _side_by_side(
    tasks: Sequence[Task], store: Store, workers: int, tell: Callable[[Task, bool], None]
) -> None:
    context = multiprocessing.get_context("spawn")  # forks of a process with threads may hang
    pool = ProcessPoolExecutor(min(workers, len(tasks)), context, _end_with_parent)
    try:
        running = {pool.submit(perform, task, store.folder): task for task in tasks}
        for done in as_completed(running):
            done.result()
            tell(running[done], True)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _end_with_parent() -> None:
    """A worker whose parent was killed would train on beside the run that goes on with its folder."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    sentinel = parent.sentinel

    def watch() -> None:
        multiprocessing.connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
