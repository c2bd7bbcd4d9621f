"""Trial of a user's compiled rule in a child process, which a rule without end or with endless recursion does not survive.

The child is a fork: it has the compiled rule already, calls nothing else, and takes no lock. Where a system has no forks
(Windows) there is no such trial.
"""

import ctypes
import faulthandler
import os
import signal
import time
import warnings

import numpy as np

from dtao_gym.protocol.allocation import Market

SECONDS = 10.0
"""Longest time for the calls of a rule on all trial markets, which take well below a millisecond."""

_RULE = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)


def fault_of_trial(address: int, markets: list[Market], seconds: float | None = None) -> str | None:
    """What the rule at an address does on some of the markets other than to end: a part of a sentence; or None.

    Parameters
    ----------
    address : int
        C function of length, addresses of columns, and result.
    markets : list of Market
        Contiguous float64 columns.
    seconds : float, optional
        Longest time for all calls, `SECONDS` by default.
    """
    if not hasattr(os, "fork"):
        return None
    seconds = SECONDS if seconds is None else seconds
    calls, kept = [], []
    for market in markets:
        columns, shares = np.array([c.ctypes.data for c in market]), np.empty(market[0].size)
        kept += [columns, shares]  # an address keeps nothing alive
        calls.append((shares.size, columns.ctypes.data, shares.ctypes.data))
    rule = _RULE(address)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of forks beside threads: the child meets none of them
        try:
            child = os.fork()
        except OSError:  # no memory or no process to spare
            return None
    if child == 0:
        _run(rule, calls, int(seconds) + 1)
    return _outcome(child, seconds)


def _run(rule, calls: list[tuple[int, int, int]], seconds: int) -> None:
    """Call the rule, then end this process."""
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)  # where the parent is gone
        faulthandler.disable()
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 2)  # exceptions of a C function are printed; the parent meets them again
        for numbers in calls:
            rule(*numbers)
    finally:
        os._exit(0)


def _outcome(child: int, seconds: float) -> str | None:
    deadline, pause = time.monotonic() + seconds, 0.0005
    while True:
        try:
            done, status = os.waitpid(child, os.WNOHANG)
        except ChildProcessError:  # somebody else waited for it
            return None
        if done:
            break
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return f"does not end within {seconds:g} s on a trial market"
        time.sleep(pause)
        pause = min(2.0 * pause, 0.05)
    if not os.WIFSIGNALED(status):
        return None
    number = os.WTERMSIG(status)
    if number == signal.SIGALRM:
        return f"does not end within {seconds:g} s on a trial market"
    name = signal.Signals(number).name
    return f"ends its process by {name} on a trial market; does it call itself without end?"
