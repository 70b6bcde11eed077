"""PURE. Lists come in pages, and say how long they are: exactly while that is cheap, then about."""

from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

MAX_PAGE = 1_000_000
MAX_COUNTED = 10_000
"""So many rows are counted; of more it is said about how many there are."""

PageNumber = Annotated[
    int, Meta(ge=1, le=MAX_PAGE, description=f"a whole number from 1 to {MAX_PAGE}", examples=[1])
]
Limit = Annotated[int, Meta(ge=1, le=100, description="a whole number from 1 to 100", examples=[20])]


class Total(NamedTuple):
    """How many rows a list has in all."""

    rows: int
    is_estimate: bool = False


class PageMeta(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Which part of the list an answer holds."""

    page: Annotated[int, Meta(description="which one, from 1 on")]
    limit: Annotated[int, Meta(description="entries a page")]
    total: Annotated[int, Meta(description=f"entries in all, exact up to {MAX_COUNTED}")]
    total_pages: Annotated[int, Meta(description="pages in all; none of an empty list")]
    total_is_estimate: Annotated[
        bool, Meta(description=f"true where there are more than {MAX_COUNTED}; else it is not there")
    ] = False


PAGE_META = Meta(description="which part of the list this is, and how long it is in all")


def describe(page: int, limit: int, total: Total) -> PageMeta:
    """The meta of one page; an empty list has no pages."""
    return PageMeta(page, limit, total.rows, -(-total.rows // limit), total.is_estimate)
