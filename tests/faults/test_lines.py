"""What the relays in the fault matrix's lines do to those who speak through them."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from faults.matrix import lines
from relay import Relay

TIMEOUT_S = 10
HOSTS = ("127.0.1.1", "127.0.1.2")


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    """Before a server that says what it is told."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while words := await reader.read(100):
            writer.write(words)
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with asyncio.timeout(TIMEOUT_S), Relay(f"http://127.0.0.1:{port}", HOSTS) as relay:
            yield relay


async def connect(relay: Relay, host: str = HOSTS[0]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = relay.url_at(host).rpartition("/")[2]
    return await asyncio.open_connection(host, int(address.rpartition(":")[2]))


async def echoed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b"words")
    return await reader.readexactly(5)


@pytest.mark.parametrize("host", HOSTS)
async def test_it_listens_on_each_of_its_hosts(relay: Relay, host: str):
    connection = await connect(relay, host)

    assert await echoed(*connection) == b"words"
    connection[1].close()


async def test_a_cut_line_resets_and_refuses_until_it_is_restored(relay: Relay):
    reader, writer = await connect(relay)
    await echoed(reader, writer)

    await lines.cut([relay])
    with pytest.raises(ConnectionResetError):
        await reader.read()
    with pytest.raises(ConnectionRefusedError):
        await connect(relay)
    await lines.restore([relay])
    again = await connect(relay)

    assert await echoed(*again) == b"words"
    writer.close()
    again[1].close()


async def test_it_tells_when_words_pass_by_and_passes_them_on(relay: Relay):
    reader, writer = await connect(relay)
    heard = asyncio.create_task(relay.hears(b"words"))
    await asyncio.sleep(0)  # until it listens
    writer.write(b"other")
    await reader.readexactly(5)
    assert not heard.done()

    assert await echoed(reader, writer) == b"words"
    await heard
    writer.close()
