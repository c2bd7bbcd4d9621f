"""Training with PPO: one learner, or many agents at once."""
