from uuid import UUID

from tocsin_local.limit import Limit
from tocsin_local.script import LocalWebhook, Script

ONE, OTHER = UUID(int=1), UUID(int=2)


def webhook(script: Script) -> LocalWebhook:
    return LocalWebhook("1", "token", "http://127.0.0.1/", script)


def test_the_first_requests_get_their_statuses_whatever_they_are_for() -> None:
    hook = webhook(Script(first=(500, 503)))

    assert [hook.next_status(number) for number in (ONE, OTHER, ONE, OTHER)] == [500, 503, 200, 200]


def test_every_execution_begins_with_its_own_statuses() -> None:
    hook = webhook(Script(each=(500, 502), then=204))

    assert [hook.next_status(number) for number in (ONE, ONE, OTHER, ONE)] == [500, 502, 500, 204]


def test_a_script_that_is_replaced_holds_from_the_next_request_on() -> None:
    hook = webhook(Script(then=500))
    hook.next_status(ONE)

    hook.script = Script()

    assert hook.next_status(ONE) == 200


def test_a_limits_window_outlives_a_new_script() -> None:
    hook = webhook(Script(limit=Limit(1, 2.0)))
    hook.turn(100.0)

    hook.script = hook.script._replace(then=500)

    turn = hook.turn(101.0)
    assert turn is not None
    assert not turn.allowed


def test_without_a_limit_there_is_nothing_to_tell() -> None:
    assert webhook(Script()).turn(100.0) is None
    assert webhook(Script()).hidden_turn(100.0) is None
