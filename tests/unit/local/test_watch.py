import pytest

from tocsin_local.watch import replaced


@pytest.mark.parametrize(
    ("before", "now", "names"),
    [
        ({"sender": 1}, {"sender": 1}, []),
        ({"sender": 1}, {}, []),  # dead, and not back yet
        ({}, {"sender": 1}, []),
        ({"sender": 1, "api": 2}, {"sender": 3, "api": 2}, ["sender"]),
        ({"rabbitmq": 1, "epmd": 2}, {"rabbitmq": 3, "epmd": 4}, ["rabbitmq"]),
        ({"rabbitmq": 1, "epmd": 2}, {"rabbitmq": 1, "epmd": 4}, ["epmd"]),
    ],
)
def test_replaced_are_those_with_another_pid(
    before: dict[str, int], now: dict[str, int], names: list[str]
) -> None:
    assert replaced(before, now) == names
