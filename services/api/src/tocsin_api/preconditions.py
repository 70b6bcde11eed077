"""PURE. ETag and If-Match (RFC 9110): a change that holds only for the revision that its client has seen."""

import re
from collections.abc import Collection, Sequence

from tocsin_api.errors import ChangedMeanwhileError, InvalidInputError, Violation

HEADER = "If-Match"
ALLOWED = '* or the ETag of an answer such as "3", or several with commas'

PATTERN = r'^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$'

_TAG = r'(?:W/)?"[!#-~\x80-\xff]*"'
_TAGS = re.compile(rf"[ \t]*{_TAG}(?:[ \t]*,[ \t]*{_TAG})*[ \t]*")
_OURS = re.compile(r'(?<!W/)"([1-9][0-9]{0,17})"', re.ASCII)


def etag(revision: int) -> str:
    """A task's ETag: strong, and another one after each change of the task."""
    return f'"{revision}"'


def read_if_match(headers: Sequence[str]) -> list[int] | None:
    """The revisions that a change is meant for, from all headers of that name; None: for any.

    Raises InvalidInputError. A weak ETag, and one that is none of ours, is for no revision.
    """
    given = ", ".join(headers)
    if not headers or given.strip(" \t") == "*":
        return None
    if not _TAGS.fullmatch(given):
        raise InvalidInputError([Violation(HEADER, f"must be {ALLOWED}")])
    # Found one by one: within the quotes of a foreign tag there may be anything but a quote.
    return [int(ours[1]) for tag in re.findall(_TAG, given) if (ours := _OURS.fullmatch(tag))]


def check_revision(revision: int, wanted: Collection[int] | None) -> None:
    """Raises ChangedMeanwhileError where the task's revision is not one of those that the change is meant for."""
    if wanted is not None and revision not in wanted:
        raise ChangedMeanwhileError(etag(revision))
