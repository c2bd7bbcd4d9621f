"""Replays of real price paths: price files, inferred reserves, windows, batches. See also `dtao_gym.backtesting`."""
