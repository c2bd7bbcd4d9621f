"""`python train.py configs/staker_quickstart.yaml [flags]`: `dtao train` in a checkout."""

import sys

from dtao_agents.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("train", sys.argv[1:], "python train.py"))
