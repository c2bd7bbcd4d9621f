"""Run the probe in a checkout: `python probe.py configs/probe_quick.yaml [flags]`; the same as `dtao probe`."""

import sys

from dtao_agents.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("probe", sys.argv[1:], "python probe.py"))
