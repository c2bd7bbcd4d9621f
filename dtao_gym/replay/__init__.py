"""Real price paths as worlds: reading prices, inferring reserves, replaying them, back-testing policies."""
