"""Learned oracles: problems whose answer is known in closed form, and learners that are not told it."""
