"""The one error of this package, printed to people as it is."""


class StackError(Exception):
    """Something the local stack needs is missing, taken or did not start; the text says what and what to do."""
