"""PURE. Lists come in pages."""

from typing import Annotated

import msgspec
from msgspec import Meta

MAX_PAGE = 1_000_000

PageNumber = Annotated[int, Meta(ge=1, le=MAX_PAGE, description=f"a whole number from 1 to {MAX_PAGE}")]
Limit = Annotated[int, Meta(ge=1, le=100, description="a whole number from 1 to 100")]


class PageMeta(msgspec.Struct, frozen=True, rename="camel"):
    """Which part of the list an answer holds."""

    page: Annotated[int, Meta(description="which one, from 1 on")]
    limit: Annotated[int, Meta(description="entries a page")]
    total: Annotated[int, Meta(description="entries in all")]
    total_pages: Annotated[int, Meta(description="pages in all; none of an empty list")]


def describe(page: int, limit: int, total: int) -> PageMeta:
    """The meta of one page; an empty list has no pages."""
    return PageMeta(page, limit, total, -(-total // limit))
