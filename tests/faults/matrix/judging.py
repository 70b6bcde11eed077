"""SHELL. Reads what a run left in its database, and has it judged."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from e2e.oracle import Account, Ended
from faults import outage
from faults.matrix import attempts, caught_up, edits, latenesses, verdict
from faults.matrix.cases import Rules
from faults.matrix.edits import Edits, Revision, Wish
from faults.matrix.fault import Fault
from faults.matrix.load import EVERY_SECOND, every
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
ROWS_OF = """
SELECT task_id, scheduled_for, state, missed_from, missed_count, created_at FROM executions
WHERE scheduled_for > $1 AND scheduled_for <= $2
"""
MISSED = "SELECT task_id, scheduled_for FROM executions WHERE state = 'missed' AND task_id = ANY($1)"
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
    rules = _rules(scene, fault, stopped)
    found = verdict.judge(account, records, rules, await _edits(scene, after))
    found.problems.extend(await scene.notes.problems())
    found.problems.extend(await _bad_losers(scene, rules.claim_ttl))
    found.problems.extend(await _badly_caught_up(scene, fault))
    found.problems.extend(_late_afterwards(scene, fault, until))
    return found


async def _bad_losers(scene: Scene, claim_ttl: timedelta) -> list[str]:
    bad = attempts.bystanders(await scene.notes.losers(), scene.blinded(), claim_ttl)
    return [f"I2: {sender} let claims run out, and nothing had hit it then" for sender in bad]


async def _badly_caught_up(scene: Scene, fault: Fault) -> list[str]:
    """What is missed though there was no outage, or not as the tasks' policy says."""
    settings = load(SchedulerSettings, scene.environment)
    rules = outage.Rules(timedelta(seconds=settings.catch_up_grace_s), settings.catch_up_limit)
    periods_s = {EVERY_SECOND: 1, every(fault.burst.every_s): fault.burst.every_s}
    written = scene.load.written()
    gaps = await scene.notes.gaps()
    missed = await scene.database.fetch(MISSED, [task.task_id for task in written])
    wrong = caught_up.outside(missed, [gap.outage for gap in gaps])
    for gap in gaps:
        tasks = {
            task.task_id: caught_up.owed_in(gap.outage, periods_s[task.schedule], task.effective_from)
            for task in written
        }
        rows = await scene.database.fetch(ROWS_OF, *gap.outage)
        before = {(row["task_id"], row["scheduled_for"]) for row in rows if row["created_at"] < gap.decided_at}
        wrong += caught_up.problems(tasks, rows, fault.catch_up, gap.outage, rules, before)
    return wrong


def _late_afterwards(scene: Scene, fault: Fault, until: datetime) -> list[str]:
    """What was due when the fault was over is in time, if that comes to anything: not later than the bound."""
    if scene.over_at is None:
        return []
    tasks = [task for task in scene.load.tasks if task.task_id not in scene.load.hostile]
    late_s = latenesses.of_first_posts(tasks, scene.receiver.posts, since=scene.over_at, until=until)
    worst_s = max(late_s, default=0.0)
    return [f"late: what was due afterwards was posted {worst_s:.1f} s late"] if worst_s > fault.bound_s else []


async def _edits(scene: Scene, end: datetime) -> Edits:
    edited = scene.load.edited
    revisions: dict[UUID, list[Revision]] = defaultdict(list)
    for task_id, since, *wish in await scene.database.fetch(REVISIONS, [each.task.task_id for each in edited]):
        revisions[task_id].append(Revision(since, Wish(*wish)))
    return edits.follow(edited, revisions, scene.load.single, end)


def _rules(scene: Scene, fault: Fault, stopped: Mapping[UUID, datetime]) -> Rules:
    scheduler, sender = load(SchedulerSettings, scene.environment), load(SenderSettings, scene.environment)
    return Rules(
        grace=timedelta(seconds=scheduler.catch_up_grace_s),
        claim_ttl=timedelta(seconds=sender.claim_ttl_s),
        addresses=scene.load.addresses,
        ends=fault.ends,
        repeats=fault.repeats,
        silences=scene.silences,
        hostile=scene.load.hostile,
        hostile_ends=fault.hostile_ends,
        failed_since=stopped,
    )
