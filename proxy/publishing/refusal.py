"""A refusal: somebody said no, or nobody answered. Exit status 1, and one sentence."""


class RefusedError(Exception):
    """It was not done; says in one sentence why, and what to do."""
