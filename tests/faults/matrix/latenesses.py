"""PURE. How late the first POSTs of executions were."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from faults.matrix import owed
from tocsin_local.oracle import WatchedTask, fates, lateness_ms
from tocsin_local.post import Post


def of_first_posts(
    tasks: Iterable[WatchedTask], posts: Sequence[Post], *, since: datetime, until: datetime
) -> list[float]:
    """Seconds, of what was owed between the two instants and has been posted, in order of size."""
    due = owed.between(tasks, since=since, until=until)
    return sorted(lateness_ms(fate.owed, fate.posts[0]) / 1000 for fate in fates(due, posts) if fate.posts)


def in_words(found_s: Sequence[float]) -> str:
    """The half of them, 99 of 100 and all of them were not later than so much."""
    median, most = found_s[len(found_s) // 2], found_s[len(found_s) * 99 // 100]
    return f"{median:.2f} s (median), {most:.2f} s (99 of 100), {found_s[-1]:.2f} s (the last)"
