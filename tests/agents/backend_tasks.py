"""Tasks that the tests of the backends run in workers; imports are light, so that workers start fast."""

import os
import signal
import time
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 240.0


def prices(seed: int) -> dict[str, Any]:
    """Numbers of the compiled engine and of NumPy."""
    import numpy as np

    from dtao_gym.world.batch import Batch
    from dtao_gym.world.config import Config

    batch = Batch(Config.make(n_subnets=4), seeds=[seed])
    batch.step(days=50)
    draws = np.random.default_rng(seed).normal(size=(64, 64))
    return {"prices": batch.state.row("spot_price").copy(), "product": draws @ draws.T}


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def first_waits_for_last(index: int, last: int, path: Path) -> int:
    if index == 0:
        wait_for(path)
    if index == last:
        path.touch()
    return index


def fails(number: int) -> int:
    if number == 1:
        raise ValueError("broken")
    return number


class TwoPartError(Exception):
    """Cannot be pickled: its parts are not its arguments."""

    def __init__(self, first: str, second: str):
        super().__init__(f"{first} {second}")


def fails_strangely() -> None:
    raise TwoPartError("half", "done")


def dies(folder: Path, times: int, result: int) -> int:
    """Kill the own process the first times that it is called."""
    attempt = len(list(folder.glob(f"{result}-*")))
    (folder / f"{result}-{attempt}").touch()
    if attempt < times:
        os.kill(os.getpid(), signal.SIGKILL)
    return result


def sleeps(folder: Path) -> None:
    (folder / "process").write_text(str(os.getpid()))
    time.sleep(600)


def appends(values: list[int]) -> list[int]:
    values.append(len(values))
    return values


def prices_unless_on(node: str, folder: Path, seed: int) -> dict[str, Any]:
    """Prices; on one machine of the cluster a task never ends."""
    import ray

    here = ray.get_runtime_context().get_node_id() if ray.is_initialized() else "local"
    (folder / f"{seed}-{here}").touch()
    if here == node:
        time.sleep(600)
    return prices(seed)
