"""Agent roles: everything that training, evaluation and results need to know of a role."""
