"""Pages of lists."""

import msgspec
import pytest

from tocsin_api.pages import Total, describe


@pytest.mark.parametrize(
    ("total", "limit", "pages"), [(0, 10, 0), (1, 10, 1), (10, 10, 1), (11, 10, 2), (101, 100, 2)]
)
def test_last_page_may_be_short(total: int, limit: int, pages: int) -> None:
    assert describe(1, limit, Total(total)).total_pages == pages


def test_total_says_only_of_an_estimate_what_it_is() -> None:
    counted, estimated = describe(2, 20, Total(10_000)), describe(2, 20, Total(10_001, is_estimate=True))

    assert msgspec.to_builtins(counted) == {"page": 2, "limit": 20, "total": 10_000, "totalPages": 500}
    assert msgspec.to_builtins(estimated) == {
        "page": 2,
        "limit": 20,
        "total": 10_001,
        "totalPages": 501,
        "totalIsEstimate": True,
    }
