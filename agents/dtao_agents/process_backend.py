"""Tasks in several processes of this machine."""

import functools
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from dtao_agents.backends import RETRIES, Finished, Job, TaskError, answer_of, use_one_thread


def in_processes(jobs: Sequence[Job], workers: int) -> Finished:
    """Run jobs in processes of this machine.

    Each worker is a pool of one process, so that a process that is killed takes no other job along.

    Parameters
    ----------
    jobs : sequence of Job
        Packed tasks.
    workers : int
        Processes.

    Raises
    ------
    TaskError
        A job lost its process more than `RETRIES` times.
    """
    _compile_engine()
    context = multiprocessing.get_context("spawn")  # forks of a process with threads may hang
    stopped, stop = context.Pipe(duplex=False)
    start = functools.partial(ProcessPoolExecutor, 1, context, _start_worker, (stopped,))
    pools = {start() for _ in range(min(workers, len(jobs)))}
    idle, waiting, losses = list(pools), deque(jobs), Counter()
    running: dict[Future[bytes], tuple[Job, ProcessPoolExecutor]] = {}

    def replace(pool: ProcessPoolExecutor) -> None:
        pool.shutdown()
        pools.remove(pool)
        idle.append(start())
        pools.add(idle[-1])

    try:
        while waiting or running:
            while waiting and idle:
                pool = idle.pop()
                try:
                    running[pool.submit(answer_of, waiting[0].packed)] = waiting[0], pool
                    waiting.popleft()
                except BrokenProcessPool:  # killed while it was idle
                    replace(pool)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job, pool = running.pop(future)
                try:
                    answer = future.result()
                except BrokenProcessPool:
                    replace(pool)
                    losses[job.index] += 1
                    if losses[job.index] > RETRIES:
                        raise TaskError(job.lost) from None
                    waiting.appendleft(job)
                else:
                    idle.append(pool)
                    yield job.index, answer
    except BaseException:
        stop.close()  # ends the workers, whatever they are doing
        raise
    finally:
        for pool in pools:
            pool.shutdown(cancel_futures=True)
        stop.close()
        stopped.close()


def _start_worker(stopped: multiprocessing.connection.Connection) -> None:
    """Prepare a worker. It ends with its parent: it would write where the run that is started again writes."""
    use_one_thread()
    # Ctrl-C reaches all processes, and the parent stops its workers itself
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    until = [parent.sentinel, stopped]

    def watch() -> None:
        multiprocessing.connection.wait(until)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _compile_engine() -> None:
    """Compile the engine in this process, or find it on disk, so that workers load it and report nothing."""
    from dtao_gym.warmup import STEPS

    for use in STEPS.values():
        use()
