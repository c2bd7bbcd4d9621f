"""Learned oracles: problems with a known closed form, solved by learners that see payoffs alone."""
