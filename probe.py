"""`python probe.py configs/probe_quick.yaml [flags]`: `dtao probe` in a checkout."""

import sys

from dtao_agents.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("probe", sys.argv[1:], "python probe.py"))
