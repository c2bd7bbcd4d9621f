"""Probe of one question: do subnet markets crowd out long-term research? `python probe.py configs/probe_quick.yaml`."""
