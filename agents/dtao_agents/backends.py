"""Independent tasks, run in this process, in several processes, or on a Ray cluster.

Results are the same whichever backend computes them: tasks share nothing, for each gets copies of its arguments, and every
result is pickled once. Only this process sees results, so that one process writes to a cache.

Nothing heavy is imported here: a worker limits its threads before it imports NumPy and torch.
"""

import contextlib
import os
import pickle
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

Backend = Literal["local", "processes", "ray"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
"""`local`: one task after another in this process; `processes`: in several of this machine; `ray`: on a Ray cluster."""
RETRIES = 2
"""A task whose process or machine is lost is run again so many times."""
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables that NumPy and torch read when they are imported."""


class BackendError(ValueError):
    """A backend cannot be used; the message names the setting."""


class TaskError(RuntimeError):
    """A task has no result for a reason other than an exception of its own; the message names the task."""


class WorkerTraceback(Exception):
    """The traceback of an exception in a worker, as text; the cause of that exception in this process."""

    def __str__(self) -> str:
        return "\n" + str(self.args[0]).rstrip()


class Task(NamedTuple):
    """A computation that depends on its arguments alone.

    Attributes
    ----------
    name : str
        For people.
    function : callable
        Picklable: a function of a module, or `functools.partial` of one. Its result is picklable too.
    arguments : mapping
        Keyword arguments, picklable.
    """

    name: str
    function: Callable[..., Any]
    arguments: Mapping[str, Any] = {}


def run_tasks(
    tasks: Sequence[Task],
    backend: str = "local",
    workers: int | None = None,
    on_done: Callable[[int, Any], None] | None = None,
    *,
    cpus_per_task: int = 1,
    address: str | None = None,
) -> list[Any]:
    """Run tasks and return their results in the order of the tasks.

    A task whose process or machine is lost is run again, up to `RETRIES` times. Where this function raises, by Ctrl-C
    too, the tasks that are running are stopped first; results that `on_done` has saved are kept.

    Parameters
    ----------
    tasks : sequence of Task
        Independent of each other.
    backend : str
        One of `BACKENDS`.
    workers : int, optional
        Tasks that run side by side. Default: one for each processor; with `ray` as many as the cluster has room for.
        `local` ignores it.
    on_done : callable, optional
        ``on_done(index, result)`` is called in this process for each task when it is finished.
    cpus_per_task : int
        Processors that Ray reserves for a task.
    address : str, optional
        Address of the Ray cluster. Default: the environment variable RAY_ADDRESS, else the cluster of this machine,
        else a new one of this machine alone.

    Returns
    -------
    list
        One result per task.

    Raises
    ------
    BackendError
        A setting is out of range, Ray is not installed or no cluster is at the address.
    TaskError
        A task lost its process more than `RETRIES` times, or raised an exception that cannot be pickled.
    Exception
        The first exception that a task raises, with a note that names the task.
    """
    _check(backend, workers, cpus_per_task, address)
    jobs = [_job(index, task) for index, task in enumerate(tasks)]
    if not jobs:
        return []
    if backend == "local":
        finished = _here(jobs)
    elif backend == "processes":
        from dtao_agents.process_backend import in_processes

        finished = in_processes(jobs, workers or os.cpu_count() or 1)
    else:
        from dtao_agents.ray_backend import on_ray

        finished = on_ray(jobs, workers or len(jobs), cpus_per_task, address)
    results: list[Any] = [None] * len(jobs)
    with contextlib.closing(finished):
        for index, answer in finished:
            results[index] = _result(jobs[index], answer)
            if on_done is not None:
                on_done(index, results[index])
    return results


def _check(backend: str, workers: int | None, cpus_per_task: int, address: str | None) -> None:
    """Raise BackendError for settings out of range."""
    if backend not in BACKENDS:
        raise BackendError(f"backend: got {backend!r}, allowed are {', '.join(BACKENDS)}")
    if workers is not None and workers < 1:
        raise BackendError(f"workers: got {workers}, allowed are 1 and more")
    if cpus_per_task < 1:
        raise BackendError(f"cpus_per_task: got {cpus_per_task}, allowed are 1 and more")
    if address is not None and backend != "ray":
        raise BackendError(f"address: got {address!r}, allowed is one with the backend ray alone")


# --- a task on its way to a worker and back


class Job(NamedTuple):
    """A task as it is sent to a worker.

    Attributes
    ----------
    index : int
        Position among the tasks.
    task : Task
        The task.
    packed : bytes
        Its function and arguments, pickled.
    """

    index: int
    task: Task
    packed: bytes

    @property
    def note(self) -> str:
        """Note on exceptions."""
        return f"in task {self.task.name}"

    @property
    def lost(self) -> str:
        """Message where no retry is left."""
        return f"{self.task.name}: its process was killed {RETRIES + 1} times, perhaps for lack of memory"


Finished = Generator[tuple[int, bytes], None, None]
"""Positions of finished tasks and their answers: pickled (result, None) or (None, (exception, traceback))."""


def _job(index: int, task: Task) -> Job:
    try:
        packed = pickle.dumps((task.function, dict(task.arguments)))
    except Exception as error:
        error.add_note(f"in task {task.name}, whose function and arguments must be picklable")
        raise
    return Job(index, task, packed)


def _call(packed: bytes) -> bytes:
    """Run a task; return its answer, or raise its exception."""
    function, arguments = pickle.loads(packed)
    return pickle.dumps((function(**arguments), None))


def answer_of(packed: bytes) -> bytes:
    """Run a packed task in a worker and return its answer; an exception is an answer too."""
    try:
        return _call(packed)
    except (Exception, SystemExit) as error:
        text = "".join(traceback.format_exception(error))
        return pickle.dumps((None, (_portable(error), text)))


def _portable(error: BaseException) -> BaseException:
    """The exception, or a TaskError with its text where it does not survive pickling."""
    try:
        if type(pickle.loads(pickle.dumps(error))) is type(error):
            return error
    except Exception:
        pass
    return TaskError(f"{type(error).__name__}: {error}")


def _result(job: Job, answer: bytes) -> Any:
    """Result in an answer; raises the exception in it."""
    result, failure = pickle.loads(answer)
    if failure is None:
        return result
    error, text = failure
    error.add_note(job.note)
    raise error from WorkerTraceback(text)


def use_one_thread() -> None:
    """Limit NumPy and torch in a worker to one thread each.

    More would wait for those of its neighbours, and their number may change how sums are rounded.
    """
    os.environ.update(dict.fromkeys(_THREADS, "1"))


# --- local


def _here(jobs: Sequence[Job]) -> Finished:
    for job in jobs:
        try:
            answer = _call(job.packed)
        except Exception as error:
            error.add_note(job.note)
            raise
        yield job.index, answer
