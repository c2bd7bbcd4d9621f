"""Real price paths as worlds: reading prices, inferring reserves, replaying them. See `dtao_gym.backtesting` too."""
