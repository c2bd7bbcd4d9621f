"""Tasks on a Ray cluster. Needs Ray itself, the extra `ray`, and none of its libraries."""

import contextlib
import functools
import importlib
import logging
import os
import pickle
import platform
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from dtao_agents.backends import (
    RETRIES,
    BackendError,
    Finished,
    Job,
    TaskError,
    answer_of,
    use_one_thread,
)


def on_ray(jobs: Sequence[Job], workers: int, cpus: int, address: str | None) -> Finished:
    """Run jobs on a cluster; Ray runs one again when its process or machine is lost.

    Parameters
    ----------
    jobs : sequence of Job
        Packed tasks.
    workers : int
        Jobs that are handed to Ray at a time.
    cpus : int
        Processors that Ray reserves for each.
    address : str, optional
        As in `dtao_agents.backends.run_tasks`.

    Raises
    ------
    BackendError
        Ray is not installed, or no cluster is at the address.
    TaskError
        Ray gave a job up.
    """
    ray, connected = _connection(address)
    remote = ray.remote(num_cpus=cpus, max_retries=RETRIES)(_answer_in_folder)
    folder, waiting, running = os.getcwd(), deque(jobs), {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.popleft()
                named = remote.options(name=job.task.name)
                running[named.remote(folder, _with_sources(job))] = job
            (reference,), _ = ray.wait(list(running), num_returns=1)
            job = running.pop(reference)
            try:
                answer = ray.get(reference)
            except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError):
                raise TaskError(job.lost) from None
            except ray.exceptions.RayError as error:
                raise TaskError(f"{job.task.name}: Ray returned no result") from error
            yield job.index, answer
    finally:
        for reference in running:
            with contextlib.suppress(ray.exceptions.RayError):
                ray.cancel(reference, force=True)
        if connected:
            ray.shutdown()


def _connection(address: str | None) -> tuple[Any, bool]:
    """The module `ray`, connected to a cluster, and whether this call connected it."""
    try:
        ray = importlib.import_module("ray")
    except ModuleNotFoundError:
        raise BackendError(
            'backend: got ray, which is not installed: pip install "dtao-gym[ray]"'
        ) from None
    if ray.is_initialized():
        return ray, False
    address = address or os.environ.get("RAY_ADDRESS")
    try:
        _check_answers(address or "")
        ray.init(address=address, logging_level=logging.WARNING)
    except (OSError, ValueError) as error:
        line = " ".join(str(error).split())
        raise BackendError(
            f"address: got {address!r}, where Ray finds no cluster: {line}"
        ) from None
    return ray, True


def _check_answers(address: str) -> None:
    """Raise OSError where nothing listens at HOST:PORT; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10.0).close()


def _answer_in_folder(folder: str, packed: bytes) -> bytes:
    """Run a task in the working folder of the command, where this machine has that folder."""
    use_one_thread()
    if os.path.isdir(folder):
        os.chdir(folder)
    return answer_of(packed)


def _with_sources(job: Job) -> bytes:
    """A job that fails on machines with other sources: its result would be cached as one of these."""
    arguments = {"packed": job.packed, "sources": _sources(job.task.function)}
    return pickle.dumps((_call_checked, arguments))


def _call_checked(packed: bytes, sources: str | None) -> Any:
    function, arguments = pickle.loads(packed)
    if _sources(function) != sources:
        raise TaskError(
            f"sources: {platform.node()} has others than the machine that sent the task, allowed is "
            "the same version of dtao-gym on all machines"
        )
    return function(**arguments)


def _sources(function: Callable[..., Any]) -> str | None:
    """Hash of the sources that a function depends on; None where it has none."""
    while isinstance(function, functools.partial):
        function = function.func
    return _fingerprint(function.__module__)


@functools.cache
def _fingerprint(module: str) -> str | None:
    from dtao_gym.sources import fingerprint  # imports NumPy, before which threads are limited

    try:
        return fingerprint(module)
    except ModuleNotFoundError:
        return None
