"""An answer has its status, and what came of its body, wherever packets end and whatever comes behind it."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin_common import head_first
from tocsin_common.head_first import HeadFirst
from tocsin_common.http import read_body

INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
HEADS = {
    204: [b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 204 No Content\n\n", b"HTTP/1.1 204 No\r\nX: y\n\r\n"],
    200: [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}"],
    404: [b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"],
}
BEHIND = [b"OK", b"zz\r\n", b"\r\n\r\nOK", b"HTTP/9"]


class Line(asyncio.Transport):
    """Of a connection that nobody is behind."""

    def close(self) -> None:
        """Nothing happens."""


def answers(protocol: HeadFirst, parts: list[bytes]) -> None:
    protocol.connection_made(Line())
    protocol.set_response_params(read_until_eof=True, auto_decompress=False)
    for part in parts:
        protocol.data_received(part)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, head_first.MOST_HEADS - 1),
    st.sampled_from([(code, head) for code, heads in HEADS.items() for head in heads]),
    st.sampled_from(BEHIND),
    st.lists(st.integers(0, 300), max_size=5),
)
def test_it_has_its_status_and_its_body(interim: int, answer: tuple[int, bytes], behind: bytes, cuts: list[int]):
    code, head = answer
    said = INTERIM * interim + head + behind
    ends = [*sorted(min(cut, len(said)) for cut in cuts), len(said)]
    parts = [said[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]

    async def read() -> tuple[list[int], bytes]:
        protocol = HeadFirst(asyncio.get_running_loop())
        reading = asyncio.create_task(read_all(protocol))
        await asyncio.sleep(0)  # it waits, as a sender does
        answers(protocol, parts)
        return await asyncio.wait_for(reading, 5)

    async def read_all(protocol: HeadFirst) -> tuple[list[int], bytes]:
        codes, content = [], None
        for _ in range(interim + 1):
            message, content = await protocol.read()
            codes.append(message.code)
        assert content is not None
        return codes, (await read_body(content)).data

    assert asyncio.run(read()) == ([100] * interim + [code], b"" if code == 204 else b"{}")


@pytest.mark.parametrize("flood", [INTERIM, b"\r\n", b"\n\n"])
async def test_whoever_sends_heads_without_end_is_read_in_few_parts(flood: bytes, monkeypatch: pytest.MonkeyPatch):
    protocol, fed = HeadFirst(asyncio.get_running_loop()), list[bytes]()
    protocol.set_response_params(read_until_eof=True)
    received = head_first.ResponseHandler.data_received

    def count(self: HeadFirst, data: bytes) -> None:
        fed.append(data)
        received(self, data)

    monkeypatch.setattr(head_first.ResponseHandler, "data_received", count)

    protocol.data_received(flood * 1000)

    assert b"".join(fed) == flood * 1000
    assert len(fed) <= head_first.MOST_HEADS + 1


async def test_after_many_interim_answers_the_next_packet_is_read_like_any_other():
    protocol = HeadFirst(asyncio.get_running_loop())

    answers(protocol, [INTERIM * 20, HEADS[204][0] + b"OK"])

    assert [(await protocol.read())[0].code for _ in range(21)] == [100] * 20 + [204]
