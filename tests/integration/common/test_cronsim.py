"""A second opinion on when schedules come: more than 20,000 cases, in every zone whose clock is shifted.

No server is needed; they are too many for the unit tests. `tests/cronsim_agreement.py` lists the differences.
"""

import pytest

from cronsim_agreement import agreed, case, compare, explain

SEEDS = 2600  # for each test; a few draw dates that never come
TESTS = 8


@pytest.mark.parametrize("part", range(TESTS))
def test_cronsim_finds_the_same_instants_but_for_what_is_explained(part):
    compared = agreed(range(part * SEEDS, (part + 1) * SEEDS))

    assert compared > 20_000 / TESTS


@pytest.mark.parametrize(
    ("seed", "kind"), [(1396, "no answer"), (9513, "before the start"), (12254, "midnight"), (12068, "odd shift")]
)
def test_a_difference_is_explained(seed, kind):
    one = case(seed)
    assert one is not None

    difference = compare(one)

    assert difference is not None
    assert explain(one, difference) == kind
