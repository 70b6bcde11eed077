"""PURE. How many messages a broker has confirmed, one by one or many at once, in any order."""


class Confirms:
    """Of one channel, whose messages are numbered from 1."""

    def __init__(self) -> None:
        """None yet."""
        self._all_to = 0
        self._beyond: set[int] = set()

    @property
    def count(self) -> int:
        """How many."""
        return self._all_to + len(self._beyond)

    def add(self, number: int, *, multiple: bool) -> None:
        """That one, or all up to that one."""
        if number <= self._all_to:
            return
        if not multiple:
            self._beyond.add(number)
        else:
            self._all_to = number
            self._beyond = {each for each in self._beyond if each > number}
