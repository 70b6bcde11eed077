"""SHELL. What broker and sink can do at the most: a bare publisher, and wrk."""

import asyncio
import re
import time

from bench.figures import row
from bench.peers import servers
from bench.peers.line import Line
from bench.peers.work import BODY
from bench.sink_stage import SinkStage
from tocsin_local.errors import StackError
from tocsin_local.report import Row

RUNS = 3
QUEUE = "limits"
MESSAGES = 50_000
WRK = ("wrk", "--threads", "1", "--connections", "100", "--duration", "5s")
SCRIPT = """\
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = '%s'
"""


async def measure(stage: SinkStage) -> list[Row]:
    """Rows of both."""
    url = await servers.make_virtual_host(stage.stack.urls, QUEUE)
    try:
        published = [await asyncio.to_thread(_publish, url) for _ in range(RUNS)]
    finally:
        await servers.remove_virtual_host(stage.stack.urls, QUEUE)
    posted = [await _post(stage) for _ in range(RUNS)]
    stage.sink.forget()
    return [
        row("limit_broker", [round(each) for each in published], "messages/s"),
        row("limit_sink", [round(each) for each in posted], "POSTs/s"),
    ]


def _publish(url: str) -> float:
    """Confirmed messages a second, to a queue that nobody reads."""
    with Line(url, QUEUE) as line:
        begin = time.monotonic()
        line.publish(BODY.encode(), MESSAGES)
        return MESSAGES / (time.monotonic() - begin)


async def _post(stage: SinkStage) -> float:
    """What wrk says; every answer must be a success."""
    script = stage.stack.instance.folder / "post.lua"
    script.write_text(SCRIPT % BODY)
    command = (*WRK, "--script", str(script), f"{stage.sink.origins[0]}/bell")
    wrk = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await wrk.communicate()
    found = re.search(r"Requests/sec: +([\d.]+)", output.decode())
    if found is None or "Non-2xx" in output.decode() or "Socket errors" in output.decode():
        raise StackError(f"wrk says:\n{output.decode()}")
    return float(found[1])
