"""What the chain does: small pure functions of numbers. No people, no learning, no state."""
