"""Which tables a release can work with."""

import pytest

from tocsin_common.migrations import is_current


@pytest.mark.parametrize(
    ("revision", "current"),
    [("0005", True), ("0004", False), ("0001", False), (None, False), ("0006", True)],
)
def test_schema_must_be_of_this_release_or_newer(revision: str | None, current: bool) -> None:
    assert is_current(revision, ("0005", "0004", "0003", "0002", "0001")) is current
