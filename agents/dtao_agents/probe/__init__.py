"""The probe: do subnet markets crowd out long-term research? `python probe.py configs/probe_quick.yaml`."""
