"""Agent roles: all that training, evaluation, equilibrium analysis and the results page need to know of a role."""
