"""Probe of one question: do subnet markets crowd out long-term research?"""
