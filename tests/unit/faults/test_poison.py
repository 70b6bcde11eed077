"""Each poison is what it says: Tocsin cannot read it, or reads it and finds nothing to do."""

from datetime import UTC, datetime
from random import Random
from uuid import UUID

import msgspec
import pytest

from faults.matrix import poison
from faults.matrix.poison import Poison
from tocsin_common.messages import UnknownVersionError, decode_jobs

NOW = datetime(2030, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)
ALL = [*poison.messages(UUID(int=7), NOW, Random(1)), poison.huge()]  # noqa: S311 - no secret
REFUSED_BY_THE_DATABASE = {"NUL in a text"}
"""It has the form of a message."""


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.name)
def test_it_ends_where_it_says(each: Poison):
    try:
        decode_jobs(each.body)
    except UnknownVersionError:
        end = "parked"
    except msgspec.DecodeError:
        end = "dead"
    else:
        end = "dead" if each.name in REFUSED_BY_THE_DATABASE else "dropped"

    assert end == each.end


def test_each_has_a_name_of_its_own():
    assert len({each.name for each in ALL}) == len(ALL)
