"""SHELL. Celery on RabbitMQ: `celery --app celery_bell worker` posts, `python celery_bell.py` sends the plan.

It is sent ahead, each with its instant as `eta`.
"""

import os

import bells
import urllib3
from celery import Celery
from celery.signals import worker_ready

app = Celery("bells", broker=os.environ["BROKER_URL"])
app.conf.update(
    broker_transport_options={"confirm_publish": True},
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
)
client = urllib3.PoolManager(num_pools=2000, maxsize=10, timeout=bells.TIMEOUT_S, retries=False)


class NotDeliveredError(Exception):
    """An answer that is no success."""


@app.task(
    name="ring",  # whichever program says it
    autoretry_for=(urllib3.exceptions.HTTPError, NotDeliveredError),
    retry_backoff=True,
    max_retries=bells.MAX_RETRIES,
)
def ring(bell_id: str, url: str, body: str) -> None:
    """One POST."""
    answer = client.request("POST", url, body=body, headers=bells.headers(bell_id))
    if answer.status >= 300:
        raise NotDeliveredError(f"HTTP {answer.status}")


@worker_ready.connect
def tell(**_: object) -> None:
    """Let the bench know."""
    print("ready", flush=True)


def send() -> None:
    """All of the plan, each confirmed by the broker."""
    with app.producer_pool.acquire(block=True) as producer:
        for bell in bells.planned():
            arguments = (bell.id, bell.url, bells.BODY)
            ring.apply_async(arguments, eta=bell.instant, task_id=bell.id, producer=producer)


if __name__ == "__main__":
    send()
