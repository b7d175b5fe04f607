"""A configuration of nginx as settings and a registry that do the same."""
