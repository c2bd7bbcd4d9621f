"""Rules of the chain: small pure functions of numbers. No people, no learning, no state."""
