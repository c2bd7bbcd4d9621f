"""Train in a checkout: `python train.py configs/staker_quickstart.yaml [flags]`; the same as `dtao train`."""

import sys

from dtao_agents.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("train", sys.argv[1:], "python train.py"))
