"""What was asked cannot be done as it was asked; loaded by all, so it loads nothing."""


class UnusableError(Exception):
    """The arguments cannot be used; says in one sentence why."""
