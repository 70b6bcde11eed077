"""How far the changes of tasks are known."""

import pytest

from tocsin_dispatcher.scheduler.revision import Position


@pytest.mark.parametrize(
    ("xid", "is_covered"),
    [
        pytest.param(99, True, id="lower"),
        pytest.param(100, False, id="the one that stays open"),
        pytest.param(103, True, id="the snapshot shows it"),
        pytest.param(105, False, id="it was under way"),
        pytest.param(110, False, id="it began later"),
    ],
)
def test_a_position_covers_what_its_snapshot_shows(xid: int, is_covered: bool):
    assert Position(100, "100:110:100,105").covers(xid) is is_covered


def test_a_position_without_a_snapshot_covers_lower_transactions_only():
    assert Position(100).covers(99)
    assert not Position(100).covers(100)
