"""Agents of each role: scripted policies, metrics, networks, report tables."""
