"""The queues, as they are declared: names and arguments are a contract between releases."""

import pytest

from tocsin_common.topology import TIERS_S, queue_arguments, tier_queue


def test_the_tiers_are_the_powers_of_two_from_1_to_512_seconds():
    assert TIERS_S == (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


def test_a_tier_is_named_for_its_seconds():
    assert tier_queue(8) == "deliveries.retry.8s"


def test_the_queues_are_work_dead_and_one_a_tier():
    assert set(queue_arguments()) == {"deliveries", "deliveries.dead", *map(tier_queue, TIERS_S)}


@pytest.mark.parametrize("name", queue_arguments())
def test_each_queue_says_what_is_in_it(name):
    assert queue_arguments()[name]["description"].startswith(("Executions that", "Failed executions"))


def test_each_tier_says_how_long_its_messages_wait():
    assert " wait 8 s " in queue_arguments()["deliveries.retry.8s"]["description"]


def working_arguments(name: str) -> dict[str, object]:
    """Those that change what a queue does."""
    return {key: value for key, value in queue_arguments()[name].items() if key != "description"}


def test_the_work_queue_gives_up_into_the_dead_one():
    assert working_arguments("deliveries") == {
        "x-queue-type": "quorum",
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-dead-letter-exchange": "tocsin.jobs",
        "x-dead-letter-routing-key": "deliveries.dead",
        "x-delivery-limit": 20,
    }


def test_the_dead_queue_is_bounded_and_leads_nowhere():
    assert working_arguments("deliveries.dead") == {"x-queue-type": "quorum", "x-max-length": 100_000}


@pytest.mark.parametrize("seconds", TIERS_S)
def test_a_tier_holds_its_messages_for_its_seconds_and_loses_none(seconds):
    assert working_arguments(tier_queue(seconds)) == {
        "x-queue-type": "quorum",
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-dead-letter-exchange": "tocsin.jobs",
        "x-dead-letter-routing-key": "deliveries",
        "x-message-ttl": seconds * 1000,
    }
