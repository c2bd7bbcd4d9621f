"""Settings of all tests."""

import os

# Workers share the cores, and so do the processes that tests start: threads of torch would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

# The same examples on every run, and no limit on the first one, which compiles what it calls.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
