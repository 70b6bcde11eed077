"""SHELL. Reads what a run left in its database, and has it judged."""

from datetime import datetime, timedelta

from e2e.oracle import Account, Ended
from faults.matrix import verdict
from faults.matrix.cases import Rules
from faults.matrix.fault import Fault
from faults.matrix.scene import Scene
from faults.matrix.verdict import Records, Verdict
from tocsin_common.settings import SchedulerSettings, SenderSettings
from tocsin_common.settings_reader import load

ROWS = """
SELECT task_id, scheduled_for, state, seq, jitter_ms, missed_from, missed_count, created_at FROM executions
"""
LOGS = """
SELECT task_id, scheduled_for, seq, outcome, http_status, ambiguous, execution_time, duration_ms, created_at
FROM task_logs
"""
STOPPED = "SELECT task_id, effective_from FROM task_revisions WHERE status = 'FAILED' AND task_id = ANY($1)"
"""Those that ten failures in a row have ended; a receiver that does not misbehave ends none."""


async def judge(scene: Scene, fault: Fault, until: datetime) -> Verdict:
    """All that was owed until then; nothing may be open any more."""
    after = until + timedelta(microseconds=1)
    stopped = dict(await scene.database.fetch(STOPPED, scene.load.hostile))
    # One that is stopped in the pause owes nothing of it.
    tasks = [Ended(task, min(after, stopped.get(task.task_id, after))) for task in scene.load.tasks]
    account = Account(tasks, until, await scene.database.fetch(ROWS), scene.receiver.posts)
    records = Records(await scene.database.fetch(LOGS), await scene.notes.losses())
    found = verdict.judge(account, records, _rules(scene, fault))
    found.problems.extend(await scene.notes.problems())
    return found


def _rules(scene: Scene, fault: Fault) -> Rules:
    scheduler, sender = load(SchedulerSettings, scene.environment), load(SenderSettings, scene.environment)
    return Rules(
        grace=timedelta(seconds=scheduler.catch_up_grace_s),
        claim_ttl=timedelta(seconds=sender.claim_ttl_s),
        addresses=scene.load.addresses,
        ends=fault.ends,
        repeats=fault.repeats,
        hostile=scene.load.hostile,
        hostile_ends=fault.hostile_ends,
    )
