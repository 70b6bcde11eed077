"""SHELL. taskiq on RabbitMQ: `taskiq worker taskiq_bell:broker` posts, `python taskiq_bell.py` sends the plan.

It is sent ahead, each with the time that is left as `delay`.
"""

import asyncio
import os
import time

import asking
import bells
from taskiq import SimpleRetryMiddleware, TaskiqEvents, TaskiqState
from taskiq_aio_pika import AioPikaBroker, Queue

AT_ONCE = 100  # publishes that wait for their confirms

broker = AioPikaBroker(
    os.environ["BROKER_URL"],
    qos=2 * asking.IN_FLIGHT,
    delay_queue=Queue(name="taskiq.delay"),
).with_middlewares(SimpleRetryMiddleware(default_retry_count=bells.MAX_RETRIES))


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def open_client(state: TaskiqState) -> None:
    """What a worker has once."""
    state.client = asking.session()
    print("ready\n", end="", flush=True)  # in one write: two workers say it into one log


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def close_client(state: TaskiqState) -> None:
    """At its end."""
    await state.client.close()


@broker.task("ring", retry_on_error=True)  # whichever program says it
async def ring(bell_id: str, url: str, body: str) -> None:
    """One POST."""
    await asking.post(broker.state.client, bell_id, url, body)


async def send() -> None:
    """All of the plan, each confirmed by the broker."""
    await broker.startup()
    free = asyncio.Semaphore(AT_ONCE)

    async def send_one(bell: bells.Bell) -> None:
        async with free:
            delayed = ring.kicker().with_task_id(bell.id).with_labels(delay=bell.at - time.time())
            await delayed.kiq(bell.id, bell.url, bells.BODY)

    await asyncio.gather(*map(send_one, bells.planned()))
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(send())
