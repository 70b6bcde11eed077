"""Pages of lists."""

import pytest

from tocsin_api.pages import describe


@pytest.mark.parametrize(
    ("total", "limit", "pages"), [(0, 10, 0), (1, 10, 1), (10, 10, 1), (11, 10, 2), (101, 100, 2)]
)
def test_last_page_may_be_short(total: int, limit: int, pages: int) -> None:
    assert describe(1, limit, total).total_pages == pages
