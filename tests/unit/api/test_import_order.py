"""What an operator says of an import, on the command line."""

import argparse
from datetime import UTC, datetime

import pytest

from tocsin_api import import_order
from tocsin_api.import_batches import Order
from tocsin_api.old_tasks import Wishes
from tocsin_common.errors import SettingsError


def order(*arguments: str) -> Order:
    parser = argparse.ArgumentParser()
    import_order.add_arguments(parser)
    return import_order.read(parser.parse_args(arguments))


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--time-zone", "Europe/Berlin"], Order(Wishes("Europe/Berlin"))),
        (["--time-zone", "UTC", "-", "--dry-run"], Order(Wishes("UTC"), file="-", dry_run=True)),
        (["--time-zone", "UTC", "--status", "inactive"], Order(Wishes("UTC", all_inactive=True))),
        (["--time-zone", "UTC", "--months-from-zero"], Order(Wishes("UTC", months_from_zero=True))),
        (["--time-zone", "UTC", "--table", "Task"], Order(Wishes("UTC"), table="Task")),
        (["--start"], Order(Wishes("UTC"), starts=True)),
        (
            ["--start", "--since", "2026-03-01T10:00:00.5+01:00"],
            Order(Wishes("UTC"), starts=True, since=datetime(2026, 3, 1, 9, 0, 0, 500_000, UTC)),
        ),
    ],
)
def test_arguments_make_an_order(arguments: list[str], wanted: Order) -> None:
    assert order(*arguments) == wanted


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--time-zone is not set: say which clock the schedules mean"),
        (["--time-zone", "Europe/Berln"], "--time-zone: must be an IANA time zone .* near are Europe/Berlin"),
        (["--time-zone", "UTC", "--status", "active"], "--status: expected keep or inactive"),
        (["--start", "--since", "2026-01-01T00:00:00"], "--since: expected a time with its offset"),
        (["--start", "--since", "0001-01-01T00:00:00Z"], "--since: expected a time with its offset"),
        (["--time-zone", "UTC", "--since", "2026-01-01T00:00:00Z"], "--since is for --start"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: list[str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        order(*arguments)
