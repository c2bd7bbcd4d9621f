"""People and chain together: the compiled day over many worlds, their state, configuration and genesis."""
