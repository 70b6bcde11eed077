"""Which blows a soak deals, and in what order."""

from collections import Counter

import pytest

from faults.matrix.blows import BLOWS, Blow, Deck

NEEDS = sorted({need for blow in BLOWS for need in blow.needs})


def drawn(deck: Deck, times: int) -> list[Blow]:
    return [blow for _ in range(times) if (blow := deck.draw([])) is not None]


def test_each_is_dealt_once_before_any_comes_again():
    deck = Deck(seed=1)

    for _ in range(3):
        assert Counter(drawn(deck, len(BLOWS))) == Counter(BLOWS)


def test_the_seed_decides_on_the_order():
    first, again, other = (drawn(Deck(seed), len(BLOWS)) for seed in (1, 1, 2))

    assert first == again
    assert first != other


@pytest.mark.parametrize("need", NEEDS)
def test_what_is_in_use_is_left_alone_and_its_turn_comes_first_afterwards(need: str):
    deck = Deck(seed=1)
    others = [blow for blow in BLOWS if need not in blow.needs]

    meanwhile = [deck.draw([need]) for _ in others]
    afterwards = drawn(deck, len(BLOWS) - len(others))

    assert Counter(meanwhile) == Counter(others)
    assert Counter(afterwards) == Counter(blow for blow in BLOWS if need in blow.needs)


def test_nothing_is_dealt_where_all_is_in_use():
    assert Deck(seed=1).draw(NEEDS) is None


def test_each_has_a_name_of_its_own():
    names = [blow.name for blow in BLOWS]

    assert len(names) == len(set(names))
