"""What is left of a database's URL."""

import pytest

from tocsin_common.database import plain_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://user:password@host:5432/name", "postgresql://user:password@host:5432/name"),
        ("postgres://host/name", "postgres://host/name"),
        ("postgresql://host/name?schema=public", "postgresql://host/name"),
        ("postgresql://host/name?schema=", "postgresql://host/name"),
        ("postgresql://host/name?schema=a&schema=b", "postgresql://host/name"),
        ("postgresql://host/name?sslmode=require&schema=public", "postgresql://host/name?sslmode=require"),
        ("postgresql://host/name?schema=public&sslmode=require", "postgresql://host/name?sslmode=require"),
        ("postgresql+asyncpg://host/name", "postgresql://host/name"),
        ("postgresql+psycopg://host/name?schema=public", "postgresql://host/name"),
        ("postgresql://user:p%40ss%2Fword@host/name?schema=x", "postgresql://user:p%40ss%2Fword@host/name"),
        ("postgresql://a:5432,b:5433/name?schema=x", "postgresql://a:5432,b:5433/name"),
        ("postgresql://[::1]:5432/name?schema=x", "postgresql://[::1]:5432/name"),
    ],
)
def test_the_suffixes_of_other_tools_are_taken_off_and_nothing_else(url, expected):
    assert plain_url(url) == expected
