"""Migrations leave what the release before needs: a new one adds, and one of a later release takes away."""

import re
from io import StringIO
from pathlib import Path

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import Script, ScriptDirectory

from repository import expand_contract, tracked
from tocsin_common import migrations

BASE = "0012"
"""The newest migration of before the first release, when no two of them ran side by side."""

SCRIPTS = {
    script.revision: script for script in ScriptDirectory(str(Path(migrations.__file__).parent)).walk_revisions()
}
RELEASES = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", tracked.texts()["CHANGELOG.md"], re.MULTILINE)


def upgrade_sql(script: Script) -> str:
    """All that its upgrade would do."""
    written = StringIO()
    options = {"as_sql": True, "output_buffer": written}
    with Operations.context(MigrationContext.configure(dialect_name="postgresql", opts=options)):
        script.module.upgrade()
    return written.getvalue()


def test_migrations_take_nothing_away_that_the_release_before_needs() -> None:
    newer = [script for revision, script in SCRIPTS.items() if revision > BASE]

    found = {
        script.revision: list(
            expand_contract.problems(upgrade_sql(script), getattr(script.module, "CONTRACTS", {}), RELEASES)
        )
        for script in newer
    }

    assert found == {script.revision: [] for script in newer}


def test_what_older_migrations_took_away_is_seen() -> None:
    found = dict(expand_contract.taken_away(upgrade_sql(SCRIPTS["0008"])))

    assert found == {
        "destinations.slots_from": "is renamed",
        "destinations.slots_used": "is renamed",
        "executions.has_slot": "is renamed",
        "egress_groups.invalid_from": "is dropped",
        "egress_groups.invalid": "is dropped",
    }


@pytest.mark.parametrize(
    ("sql", "name", "how"),
    [
        ("DROP TABLE tasks", "table tasks", "is dropped"),
        ("drop table if exists tasks cascade", "table tasks", "is dropped"),
        ("DROP TABLE a, b", "table b", "is dropped"),
        ("DROP FUNCTION fail_tasks(uuid[], text)", "function fail_tasks", "is dropped"),
        ("ALTER TABLE tasks DROP COLUMN name", "tasks.name", "is dropped"),
        ("ALTER TABLE tasks DROP name", "tasks.name", "is dropped"),
        ("ALTER TABLE ONLY tasks\n    DROP COLUMN IF EXISTS name CASCADE", "tasks.name", "is dropped"),
        ("ALTER TABLE tasks ADD COLUMN a integer, DROP COLUMN name", "tasks.name", "is dropped"),
        ("ALTER TABLE tasks ADD COLUMN a numeric(5, 2), DROP name", "tasks.name", "is dropped"),
        ("SELECT 1; ALTER TABLE tasks RENAME COLUMN name TO title", "tasks.name", "is renamed"),
        ("ALTER TABLE tasks RENAME name TO title", "tasks.name", "is renamed"),
        ("ALTER TABLE tasks RENAME TO jobs", "table tasks", "is renamed"),
        ("ALTER TABLE tasks ALTER COLUMN name TYPE bytea", "tasks.name", "gets another type"),
        ("ALTER TABLE tasks ALTER name SET DATA TYPE bytea", "tasks.name", "gets another type"),
        ("ALTER TABLE tasks ALTER COLUMN run_at SET NOT NULL", "tasks.run_at", "may not be left empty any more"),
        ("ALTER TABLE tasks ADD COLUMN owner text NOT NULL", "tasks.owner", "may not be left empty"),
        ("ALTER TABLE tasks ADD CONSTRAINT c CHECK (a <> b)", "tasks.c", "refuses what could be written"),
        (
            "ALTER TABLE tasks ADD a text, ADD CHECK (b IS NOT NULL)",
            "tasks.CHECK",
            "refuses what could be written",
        ),
        ("ALTER TABLE tasks ADD UNIQUE (name)", "tasks.UNIQUE", "refuses what could be written"),
        ("CREATE UNIQUE INDEX one ON tasks (name)", "tasks.one", "refuses what could be written"),
    ],
)
def test_what_takes_something_away_is_refused(sql: str, name: str, how: str) -> None:
    found = expand_contract.problems(sql, {}, ["0.1.0"])

    assert any(problem.startswith(f"{name} {how}: the release before may need it") for problem in found)


def test_what_is_taken_away_before_a_release_did_without_is_refused() -> None:
    [problem] = expand_contract.problems("ALTER TABLE t DROP c", {"t.c": "0.2.0"}, ["0.1.0"])

    assert problem == "t.c is dropped: there is no release 0.2.0 that does without yet"


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE owners (id uuid PRIMARY KEY, name text NOT NULL)",
        "ALTER TABLE tasks ADD COLUMN owner text",
        "ALTER TABLE tasks ADD owner text NOT NULL DEFAULT 'nobody' CHECK (owner <> '')",
        "CREATE TABLE a (b text); CREATE UNIQUE INDEX c ON a (b); ALTER TABLE a ADD CONSTRAINT d CHECK (b <> '')",
        "CREATE INDEX some ON tasks (name)",
        "ALTER TABLE tasks DROP CONSTRAINT schedule_or_run_at, ALTER COLUMN name DROP NOT NULL",
        "ALTER TABLE tasks ALTER COLUMN name SET DEFAULT 'DROP TABLE tasks', ALTER name DROP DEFAULT",
        "ALTER TABLE tasks RENAME CONSTRAINT a TO b",
        "DROP INDEX tasks_run_at",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DROP TABLE day; END $$",
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $body$ ALTER TABLE t DROP c; $body$ -- DROP TABLE t",
    ],
)
def test_what_only_adds_is_taken(sql: str) -> None:
    assert list(expand_contract.problems(sql, {}, [])) == []


def test_what_is_taken_away_once_a_release_did_without_is_taken() -> None:
    assert list(expand_contract.problems("ALTER TABLE t DROP c", {"t.c": "0.1.0"}, ["0.2.0", "0.1.0"])) == []


def test_a_statement_that_fits_nothing_is_refused() -> None:
    [problem] = expand_contract.problems("ALTER TABLE t ADD c text", {"t.c": "0.1.0"}, ["0.1.0"])

    assert problem == "t.c is in CONTRACTS and stays as it is"
