"""What the integration tests of several packages need."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from tocsin_local.stack import StackUrls


@pytest.fixture(scope="module")
async def shared_database_url(servers: StackUrls, database_template: str) -> AsyncIterator[str]:
    """A migrated database for the tests of one module, which do not get in each other's way."""
    name = f"test_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(servers.database_url)
    await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{database_template}"')
    yield urlsplit(servers.database_url)._replace(path=f"/{name}").geturl()
    await admin.execute(f'DROP DATABASE "{name}"')
    await admin.close()
