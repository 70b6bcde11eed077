"""What the leader samples, on the real database."""

import asyncio
import math
from collections.abc import Iterator

import asyncpg
import pytest

from tocsin_dispatcher.scheduler import sampler
from tocsin_dispatcher.scheduler.sampler import Sampler
from waiting import eventually

from .conftest import DAY, shown

HUGE_S = 3600.0


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    sampler.forget()


@pytest.fixture
def at_work(pool: asyncpg.Pool) -> Sampler:
    return Sampler(pool, interval_s=HUGE_S)


async def test_open_executions_are_shown_by_state_and_ended_ones_not(at_work, add_task, add_execution):
    for number, state in enumerate(("due", "due", "waiting", "running", "succeeded", "failed")):
        await add_execution(await add_task(), state=state, next_in_s=-10.0 * number)

    await at_work.sample()

    assert [shown("executions_open", state=state) for state in ("due", "waiting", "running")] == [2, 1, 1]
    assert shown("executions_open", state="failed") is None
    assert shown("executions_overdue_seconds", state="due") == pytest.approx(10, abs=5)
    assert shown("executions_overdue_seconds", state="running") == pytest.approx(30, abs=5)
    assert shown("executions_oldest_age_seconds", state="due") > 86_400


async def test_what_is_not_due_yet_is_not_overdue(at_work, add_task, add_execution):
    await add_execution(await add_task(), state="running", next_in_s=20)

    await at_work.sample()

    assert shown("executions_overdue_seconds", state="running") == 0.0


async def test_a_state_that_nothing_is_in_any_more_is_shown_as_none(at_work, add_task, add_execution, pool):
    await add_execution(await add_task())
    await at_work.sample()
    await pool.execute("UPDATE executions SET state = 'succeeded'")

    await at_work.sample()

    assert shown("executions_open", state="due") == 0.0
    assert shown("executions_overdue_seconds", state="due") == 0.0


async def test_of_a_great_backlog_only_the_first_are_counted(
    at_work, add_task, add_execution, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sampler, "MOST_COUNTED", 2)
    for number in range(3):
        await add_execution(await add_task(), next_in_s=-100.0 * number)

    await at_work.sample()

    assert shown("executions_open", state="due") == 2.0
    assert shown("executions_overdue_seconds", state="due") == pytest.approx(200, abs=5)  # the earliest is there


async def test_stored_executions_are_estimated(at_work, add_task, add_execution, pool):
    await add_execution(await add_task(), DAY)
    await pool.execute("ANALYZE executions")

    await at_work.sample()

    assert shown("executions_stored") == 1.0


async def test_nothing_is_shown_any_more_after_a_term(at_work):
    term = asyncio.create_task(at_work.run())
    await eventually(_is_sampled)

    term.cancel()
    await asyncio.gather(term, return_exceptions=True)

    assert shown("executions_open", state="due") is None
    assert math.isnan(shown("executions_stored"))


async def test_what_cannot_be_sampled_is_not_shown_and_ends_no_term(pool, add_task):
    at_work = Sampler(pool, interval_s=0.01)
    term = asyncio.create_task(at_work.run())
    await eventually(_is_sampled)

    await pool.execute("ALTER TABLE executions RENAME TO hidden")
    await eventually(_is_not_sampled)
    await pool.execute("ALTER TABLE hidden RENAME TO executions")
    await eventually(_is_sampled)

    assert not term.done()
    term.cancel()
    await asyncio.gather(term, return_exceptions=True)


async def _is_sampled() -> bool:
    return shown("executions_open", state="due") is not None


async def _is_not_sampled() -> bool:
    return shown("executions_open", state="due") is None
