"""Where a webhook's URL may lead, however its host is spelled and whatever its name resolves to."""

import pytest

from tocsin_common.resolver import Resolver
from tocsin_dispatcher.sender.outcome import Verdict

from .conftest import PATH, found, leading_to, local, posting
from .receiver import RawReceiver, answers

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOST = "hooks.example.com"
URL = f"https://{HOST}{PATH}"
NO_ADDRESS = Verdict("retryable", "the host has no public address")
METADATA = "169.254.169.254"
SAVED = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"id":"42"}'

LITERALS = [
    "127.0.0.1",
    "10.0.0.1",
    METADATA,
    "0.0.0.0",  # noqa: S104 - nothing listens on it
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",  # NAT64
    "[2002:7f00:1::]",  # 6to4
    "[2002:a9fe:a9fe::1]",
    "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",  # Teredo
    "[fe80::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
]
NUMBERS = ["2130706433", "2852039166", "0177.0.0.1", "127.1", "0"]
"""What the C library takes for addresses, and no standard of URLs does."""
RESOLVED = [
    "127.0.0.1",
    "10.0.0.1",
    "100.64.0.1",
    METADATA,
    "172.16.0.1",
    "192.168.0.1",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "fc00::1",
    "fec0::1",
    "fe80::1",
]


@pytest.mark.parametrize("host", [*LITERALS, *NUMBERS, "0x7f000001", "localhost", "\uff11\uff12\uff17.0.0.1"])
async def test_a_host_that_nobody_allowed_is_not_posted_to_however_it_is_spelled(host: str):
    async with posting(allow_local=False, hosts={HOST}) as post:
        attempt = await post(f"https://{host}{PATH}")

    assert attempt.verdict.outcome == "permanent"
    assert attempt.verdict.message.startswith("the webhook URL ")


@pytest.mark.parametrize("host", LITERALS)
async def test_an_address_that_was_allowed_by_mistake_is_not_connected_to(host: str):
    async with posting(allow_local=False, hosts={host.strip("[]")}) as post:
        attempt = await post(f"https://{host}{PATH}")

    assert attempt.verdict == NO_ADDRESS


@pytest.mark.parametrize("host", NUMBERS)
async def test_a_number_that_was_allowed_by_mistake_is_no_host(host: str):
    async with posting(allow_local=False, hosts={host}) as post:
        attempt = await post(f"https://{host}{PATH}")

    assert attempt.verdict == Verdict("permanent", "the webhook URL is none that can be posted to")


async def test_a_hexadecimal_number_that_was_allowed_by_mistake_is_not_connected_to():
    async with posting(allow_local=False, hosts={"0x7f000001"}) as post:
        attempt = await post(f"https://0x7f000001{PATH}")

    assert attempt.verdict == NO_ADDRESS  # the C library takes it for a name and resolves it


@pytest.mark.parametrize("address", RESOLVED)
async def test_a_name_that_leads_to_no_public_address_is_not_connected_to(address: str):
    async with RawReceiver(answers(SAVED)) as receiver:
        resolver = leading_to((address, receiver.port))
        async with posting(allow_local=False, hosts={HOST}, resolver=resolver) as post:
            attempt = await post(URL)

    assert attempt.verdict == NO_ADDRESS
    assert receiver.connections == []


async def test_of_several_addresses_only_the_public_ones_are_tried():
    async with RawReceiver(answers(SAVED)) as receiver:
        places = [(METADATA, receiver.port), ("fd00::1", receiver.port), ("127.0.0.1", receiver.port)]
        async with posting(hosts={"localhost"}, resolver=leading_to(*places)) as post:
            attempt = await post(f"http://localhost{PATH}")

    assert attempt.verdict == Verdict("succeeded", "HTTP 200, message 42", 200)


async def test_where_no_address_is_public_all_of_them_are_refused():
    places = [(METADATA, 443), ("fd00::1", 443), ("10.0.0.1", 443)]
    async with posting(hosts={HOST}, resolver=leading_to(*places)) as post:
        attempt = await post(URL)

    assert attempt.verdict == NO_ADDRESS


async def test_a_name_that_leads_elsewhere_the_second_time_is_judged_again():
    """Loopback, which is allowed here, stands for a public address."""
    async with RawReceiver(answers(SAVED)) as receiver:
        looked_up = [[found("127.0.0.1", receiver.port)], [found(METADATA, receiver.port)]]
        resolver = Resolver(lambda *_: looked_up.pop(0))
        async with posting(hosts={"localhost"}, resolver=resolver) as post:
            first = await post(f"http://localhost{PATH}")
            await receiver.left()
            post.session.connector.clear_dns_cache()
            second = await post(f"http://localhost{PATH}")

    assert first.verdict.outcome == "succeeded"
    assert second.verdict == NO_ADDRESS
    assert looked_up == []
    assert len(receiver.connections) == 1


@pytest.mark.parametrize("status", [b"300", b"301", b"302", b"303", b"307", b"308"])
@pytest.mark.parametrize("location", [b"http://169.254.169.254/latest/meta-data/", b"/elsewhere", b"//[", b""])
async def test_a_redirect_is_not_followed(status: bytes, location: bytes):
    answer = b"HTTP/1.1 " + status + b" Moved\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"

    async with RawReceiver(answers(answer)) as receiver, posting() as post:
        attempt = await post(local(receiver))

    assert attempt.verdict == Verdict(
        "permanent", f"HTTP {status.decode()}, redirects are not followed", int(status)
    )
    assert len(receiver.requests) == len(receiver.connections) == 1
