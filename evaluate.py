"""`python evaluate.py RUN [flags]`: `dtao evaluate` in a checkout."""

import sys

from dtao_agents.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("evaluate", sys.argv[1:], "python evaluate.py"))
