"""Which retry tier an execution waits in."""

import pytest

from tocsin_common.topology import tier_for


@pytest.mark.parametrize(
    ("wait_s", "tier"),
    [
        (0, None),
        (0.999, None),
        (1, 1),
        (1.2, 1),
        (1.999, 1),
        (2, 2),
        (4.8, 4),
        (511.9, 256),
        (512, 512),
        (86400, 512),
    ],
)
def test_the_largest_tier_that_fits_is_taken(wait_s: float, tier: int | None):
    assert tier_for(wait_s) == tier
