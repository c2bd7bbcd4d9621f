"""What plays in the environment: scripted and learned policies, training, judgement. Used from a checkout."""
