"""Settings of all tests."""

from hypothesis import settings

# The same examples on every run, and no limit on the first one, which compiles what it calls.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
