"""Replays of real price paths: price files, inferred reserves, windows and batches."""
