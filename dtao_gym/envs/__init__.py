"""Views of a world: Gymnasium environments, a native vector environment, Stable-Baselines3."""
