"""The demo as people run it: a program with servers of its own."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from environment import INHERITED
from tocsin_local import process
from tocsin_local.instance import ROOT

TIMEOUT_S = 180
STOP_TIMEOUT_S = 30


@contextmanager
def demo(data: Path, **env: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "tocsin_local", "demo"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**INHERITED, "PYTHONPATH": ":".join(sys.path), "TOCSIN_LOCAL_DIR": str(data), **env},
    ) as program:
        try:
            yield program
        finally:
            program.terminate()
            try:
                program.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                program.kill()  # else the test would wait for it without end
                raise


def running(data: Path) -> list[str]:
    return [record.name for record in data.glob("demo/run/*") if process.pid(record) is not None]


def test_a_run_ends_with_its_report_and_leaves_nothing_running(tmp_path: Path) -> None:
    with demo(tmp_path, DEMO_SECONDS="2") as program:
        output, _ = program.communicate(timeout=TIMEOUT_S)

    report = json.loads(output.splitlines()[-1])
    rows = {row["name"]: row for row in report["rows"]}
    assert program.returncode == 0, output
    assert report["report"] == "demo"
    assert rows["owed"]["value"] >= 2
    assert rows["delivered"]["value"] == rows["logged"]["value"] == rows["owed"]["value"]
    assert running(tmp_path) == []


def test_a_run_that_is_interrupted_leaves_nothing_running(tmp_path: Path) -> None:
    with demo(tmp_path, DEMO_SECONDS="600") as program:
        assert program.stdout is not None
        while not program.stdout.readline().startswith("for, UTC"):
            assert program.poll() is None

        program.send_signal(signal.SIGTERM)
        output, _ = program.communicate(timeout=TIMEOUT_S)

    assert program.returncode == 130
    assert "report" not in output
    assert running(tmp_path) == []


def test_a_start_that_is_interrupted_leaves_nothing_running(tmp_path: Path) -> None:
    with demo(tmp_path) as program:
        assert process.wait_until((tmp_path / "demo" / "run" / "postgres").exists, TIMEOUT_S)

        program.send_signal(signal.SIGINT)
        program.communicate(timeout=TIMEOUT_S)

    assert program.returncode == 130
    assert running(tmp_path) == []


def test_a_window_of_no_length_is_refused(tmp_path: Path) -> None:
    with demo(tmp_path, DEMO_SECONDS="0") as program:
        output, _ = program.communicate(timeout=TIMEOUT_S)

    assert (program.returncode, output) == (1, "")
