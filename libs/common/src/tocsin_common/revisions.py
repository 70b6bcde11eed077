"""ADAPTER. Which revisions of the tables this release knows, by the names of its migrations.

Alembic, which runs them, is not asked: to import it is nearly half of a dispatcher's start.
"""

from collections.abc import Sequence
from pathlib import Path

MIGRATIONS = Path(__file__).parent / "migrations" / "versions"


def known() -> tuple[str, ...]:
    """Every one, the newest first."""
    names = (path.name.partition("_")[0] for path in MIGRATIONS.glob("[0-9]*.py"))
    return tuple(sorted(names, reverse=True))


def is_current(revision: str | None, known: Sequence[str]) -> bool:
    """Whether a release that knows these revisions can work with tables of that one; None: there are no tables.

    A revision that it does not know is a newer one: an upgrade is under way.
    """
    return revision is not None and (revision == known[0] or revision not in known)
