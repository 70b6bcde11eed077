"""`.env.example` names every setting, with the default that the code has."""

import re
from pathlib import Path

import msgspec
import pytest

from tocsin_common.settings import ApiSettings, ImportSettings, SchedulerSettings, SenderSettings

EXAMPLE = Path(__file__).parents[2] / ".env.example"
KINDS = (ImportSettings, ApiSettings, SchedulerSettings, SenderSettings)
FIELDS = {field.name.upper(): field for kind in KINDS for field in msgspec.structs.fields(kind)}


def shown() -> dict[str, str]:
    return dict(re.findall(r"^# ([A-Z_]+)=(.*)$", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE))


def test_the_example_names_every_setting_and_no_other():
    assert set(shown()) == set(FIELDS)


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if not field.required])
def test_the_example_shows_the_default(name: str):
    default = FIELDS[name].default

    expected = str(default).lower() if isinstance(default, bool) else str(default)

    assert shown()[name] == expected
