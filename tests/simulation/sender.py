"""A model of the senders: claims what is announced, ends it, loses claims. And what follows from an end."""

from collections.abc import Callable
from datetime import timedelta

from simulation.database import OPEN, Database, Execution
from simulation.world import World
from tocsin_common import topology
from tocsin_common.messages import Job, JobMessage

CLAIM_S = 6.0
ACTIVE_ONLY = frozenset({"schedule", "reboot"})

Send = Callable[[JobMessage, str], None]


class Sender:
    """All senders together."""

    def __init__(self, world: World, database: Database, send: Send) -> None:
        self.database = database
        self._world = world
        self._send = send

    def deliver(self, message: JobMessage) -> None:
        """Take a job message."""
        for job in message.jobs:
            row = self.database.executions.get((job.scheduled_for, job.task_id))
            if row is None or row.state not in OPEN:
                continue
            if row.next_at <= self.database.clock():
                self._claim(row)
            elif row.state != "running":
                self._wait(row)

    def _wait(self, row: Execution) -> None:
        wait_s = (row.next_at - self.database.clock()).total_seconds()
        tier = topology.tier_for(wait_s)
        if tier is None:
            self._world.after(wait_s + 0.001, lambda: self.deliver(_message(row)))
        else:
            self._send(_message(row), topology.tier_queue(tier))

    def _claim(self, row: Execution) -> None:
        now, task = self.database.clock(), self.database.tasks.get(row.task_id)
        if not row.seq and now < row.scheduled_for + timedelta(milliseconds=row.jitter_ms):
            self._world.problem(f"{row.scheduled_for} of {row.task_id} is to be sent early")
        self.database.write()
        is_stopped = (
            task is None or task.status == "DELETED" or (task.status != "ACTIVE" and row.kind in ACTIVE_ONLY)
        )
        if is_stopped:
            row.state, row.ended_at = "cancelled", now
            return
        row.lost_claims += row.state == "running"
        row.state, row.seq, row.sweeps = "running", row.seq + 1, 0
        row.next_at = now + timedelta(seconds=CLAIM_S)
        seq, took_s = row.seq, self._world.random.random() * 1.5
        if not self._world.chance(0.06):  # else the sender dies, and the claim is lost
            self._world.after(took_s, lambda: self._record(row, seq))

    def _record(self, row: Execution, seq: int) -> None:
        if self.database.executions.get((row.scheduled_for, row.task_id)) is not row or row.seq != seq:
            return
        if row.state != "running":
            return
        self.database.write()
        row.ended_at = self.database.clock()
        chance = self._world.random.random()
        if chance < 0.85:
            row.state = "succeeded"
        elif chance < 0.93:
            row.state = "failed"
        else:
            row.state = "waiting"
            row.next_at = self.database.clock() + timedelta(seconds=1.5)
            self._wait(row)


def _message(row: Execution) -> JobMessage:
    return JobMessage(jobs=[Job(row.task_id, row.scheduled_for, row.destination)])
