"""Equilibria of builders in research shares, and best responses to learned policies."""
