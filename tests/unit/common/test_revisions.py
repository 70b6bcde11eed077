"""Which tables there are, and which a release can work with."""

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from tocsin_common import revisions


def test_all_that_alembic_goes_through_are_known() -> None:
    config = Config()
    config.set_main_option("script_location", str(revisions.MIGRATIONS.parent))
    config.set_main_option("path_separator", "os")

    scripts = ScriptDirectory.from_config(config).walk_revisions()

    assert revisions.known() == tuple(script.revision for script in scripts)


@pytest.mark.parametrize(
    ("revision", "current"),
    [("0005", True), ("0004", False), ("0001", False), (None, False), ("0006", True)],
)
def test_schema_must_be_of_this_release_or_newer(revision: str | None, current: bool) -> None:
    assert revisions.is_current(revision, ("0005", "0004", "0003", "0002", "0001")) is current
