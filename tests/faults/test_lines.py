"""What the relays in the fault matrix's lines do to those who speak through them."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from certificates import Authority
from faults.matrix import lines
from relay import AT_ONCE, Relay

TIMEOUT_S = 10
SILENCE_S = 0.05
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


async def test_a_reset_is_passed_on():
    async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        writer.transport.abort()

    async with await asyncio.start_server(reset, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with asyncio.timeout(TIMEOUT_S), Relay(f"http://127.0.0.1:{port}", HOSTS) as relay:
            reader, writer = await connect(relay)

            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()


async def test_a_muted_line_passes_on_what_is_said_and_no_answer(relay: Relay):
    reader, writer = await connect(relay)
    await echoed(reader, writer)

    relay.mute()
    writer.write(b"words")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), SILENCE_S)
    relay.unmute()

    assert await reader.readexactly(5) == b"words"
    writer.close()


async def test_a_halved_line_passes_on_half_of_what_is_said_and_the_rest_when_it_is_whole_again(relay: Relay):
    reader, writer = await connect(relay)
    await echoed(reader, writer)

    relay.halve()
    writer.write(b"half rest")
    half = await reader.readexactly(5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), SILENCE_S)
    relay.make_whole()

    assert (half, await reader.readexactly(4)) == (b"half ", b"rest")
    writer.close()


async def test_a_line_counts_the_connections_that_it_resets_and_the_words_that_it_holds(relay: Relay):
    reader, writer = await connect(relay)
    await echoed(reader, writer)
    assert relay.struck == 0

    relay.freeze()
    writer.write(b"words")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), SILENCE_S)
    assert relay.struck == 1

    await lines.cut([relay])
    await lines.restore([relay])
    assert relay.struck == 2
    writer.close()


async def test_a_line_shows_another_certificate_once_it_is_restored(relay: Relay, tmp_path: Path):
    authority = Authority(tmp_path)

    async def speak(line: Relay) -> bytes:
        _, _, port = line.url_at(HOSTS[1]).rpartition(":")
        reader, writer = await asyncio.open_connection(HOSTS[1], int(port), ssl=authority.trust)
        said = await echoed(reader, writer)
        writer.transport.abort()
        return said

    async with Relay(relay.url, HOSTS, authority.server(*HOSTS)) as line:
        assert line.url.startswith("https://")
        assert await speak(line) == b"words"

        await lines.cut([line])
        line.tls = authority.server(*HOSTS, expired=True)
        await lines.restore([line])

        with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
            await speak(line)


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
