"""Tasks whose results are cached by the hash of their inputs, run in several processes."""

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


def perform(task: Task, folder: Path) -> None:
    """Run a task and store its result."""
    record, arrays = task.function(*task.arguments)
    Store(folder).save(task.name, task.key, record, arrays)


def run_tasks(
    tasks: Sequence[Task], store: Store, workers: int, progress: Callable[[Task, bool], None]
) -> list[TaskResult]:
    """Return results in the order of the tasks; skips cached tasks.

    Parameters
    ----------
    tasks : sequence of Task
    store : Store
        Cache of results.
    workers : int
        Processes; with 1 all tasks run in this one.
    progress : callable
        Called as ``progress(task, computed)`` for each result; `computed` is False for cached ones.
    """
    missing = []
    for task in tasks:
        if cached_result(task, store):
            progress(task, False)
        else:
            missing.append(task)
    if workers == 1 or len(missing) < 2:
        for task in missing:
            perform(task, store.folder)
            progress(task, True)
    else:
        _in_processes(missing, store, workers, progress)
    results = []
    for task in tasks:
        result = cached_result(task, store)
        if result is None:
            raise RuntimeError(f"{task.name}: its result is not in {store.folder}")
        results.append(result)
    return results


def _in_processes(
    tasks: Sequence[Task], store: Store, workers: int, progress: Callable[[Task, bool], None]
) -> None:
    context = multiprocessing.get_context("spawn")  # forks of a process with threads may hang
    pool = ProcessPoolExecutor(min(workers, len(tasks)), context, _end_with_parent)
    try:
        running = {pool.submit(perform, task, store.folder): task for task in tasks}
        for done in as_completed(running):
            done.result()
            progress(running[done], True)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _end_with_parent() -> None:
    """End this worker with its parent: it would write into the folder of the run that is started again."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    sentinel = parent.sentinel

    def watch() -> None:
        multiprocessing.connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
