"""SHELL. Reads what a run left in its database, and has it judged."""

from collections import defaultdict
from datetime import datetime, timedelta
from uuid import UUID

from e2e.oracle import Account, Ended
from faults.matrix import edits, verdict
from faults.matrix.cases import Rules
from faults.matrix.edits import Edits, Revision, Wish
from faults.matrix.fault import Fault
from faults.matrix.scene import Scene
from faults.matrix.verdict import Records, Verdict
from tocsin_common.settings import SchedulerSettings, SenderSettings
from tocsin_common.settings_reader import load

ROWS = """
SELECT task_id, scheduled_for, kind, state, seq, jitter_ms, missed_from, missed_count, created_at, finished_at
FROM executions
"""
LOGS = """
SELECT task_id, scheduled_for, seq, outcome, http_status, ambiguous, execution_time, duration_ms, created_at
FROM task_logs
"""
STOPPED = "SELECT task_id, effective_from FROM task_revisions WHERE status = 'FAILED' AND task_id = ANY($1)"
"""Those that ten failures in a row have ended; a receiver that does not misbehave ends none."""
REVISIONS = """
SELECT task_id, effective_from, status, schedule FROM task_revisions WHERE task_id = ANY($1)
ORDER BY task_id, revision
"""


async def judge(scene: Scene, fault: Fault, until: datetime) -> Verdict:
    """All that was owed until then; nothing may be open any more."""
    after = until + timedelta(microseconds=1)
    stopped = dict(await scene.database.fetch(STOPPED, scene.load.hostile))
    # One that is stopped in the pause owes nothing of it.
    tasks = [Ended(task, min(after, stopped.get(task.task_id, after))) for task in scene.load.tasks]
    account = Account(tasks, until, await scene.database.fetch(ROWS), scene.receiver.posts)
    records = Records(await scene.database.fetch(LOGS), await scene.notes.losses())
    found = verdict.judge(account, records, _rules(scene, fault), await _edits(scene, after))
    found.problems.extend(await scene.notes.problems())
    return found


async def _edits(scene: Scene, end: datetime) -> Edits:
    edited = scene.load.edited
    revisions: dict[UUID, list[Revision]] = defaultdict(list)
    for task_id, since, *wish in await scene.database.fetch(REVISIONS, [each.task.task_id for each in edited]):
        revisions[task_id].append(Revision(since, Wish(*wish)))
    return edits.follow(edited, revisions, scene.load.single, end)


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
