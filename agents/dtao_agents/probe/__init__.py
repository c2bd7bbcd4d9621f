"""The probe: do subnet markets crowd out long-term research? Run by `python probe.py configs/probe_quick.yaml`."""
