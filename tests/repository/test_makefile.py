"""The Makefile's help is whole, and its lock check notices.

No package index is asked: a script stands in for uv.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from repository import makefile, tracked

MAKEFILE = tracked.texts()["Makefile"]
VARIABLES = ("PIP_INDEX_URL", "PIP_CERT", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "SSL_CERT_FILE")
TELLS = r'printf "%s\n" "$UV_DEFAULT_INDEX" "$SSL_CERT_FILE" >told'


def make(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run make as a person would, also where these tests are themselves run by make."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_help_lists_every_target() -> None:
    shown = make("help", folder=tracked.ROOT)

    problems = list(makefile.unlisted(MAKEFILE, shown.stdout))

    assert not problems, "\n".join(problems)


def test_make_alone_shows_the_help() -> None:
    assert make(folder=tracked.ROOT).stdout == make("help", folder=tracked.ROOT).stdout


@pytest.mark.parametrize("rule", ["new-one: setup\n\techo", "new-one:\n\techo", "new-one: setup # said wrongly"])
def test_a_target_that_help_does_not_list_is_found(tmp_path: Path, rule: str) -> None:
    text = f"{MAKEFILE}\n{rule}\n"
    (tmp_path / "Makefile").write_text(text, encoding="utf-8")

    shown = make("help", folder=tmp_path)

    assert list(makefile.unlisted(text, shown.stdout)) == [
        "Makefile: `make help` does not show `new-one`: it needs `## …` on its line"
    ]


def test_no_target_is_taken_for_a_file() -> None:
    phony = MAKEFILE.replace("\\\n", " ").split(".PHONY:")[1].splitlines()[0].split()

    assert sorted(phony) == sorted(makefile.targets(MAKEFILE))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the Makefile, a lock file, and a uv that is yet to be written."""
    (tmp_path / "Makefile").write_text(MAKEFILE, encoding="utf-8")
    (tmp_path / "requirements.lock").write_text("first==1\n", encoding="utf-8")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    return tmp_path


def stand_in_for_uv(folder: Path, script: str) -> None:
    """Write a uv that runs `script`, where `$output` is the file that uv shall write."""
    write_program(folder / ".venv" / "bin" / "uv", f"for output; do :; done\n{script}")


def write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def test_a_lock_that_stays_as_it_is_passes(folder: Path) -> None:
    stand_in_for_uv(folder, "grep -q first==1 $output")

    done = make("--old-file=setup", "check-lock", folder=folder)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_lock_that_would_change_fails_and_is_left_alone(folder: Path) -> None:
    stand_in_for_uv(folder, "echo second==2 >>$output")

    done = make("--old-file=setup", "check-lock", folder=folder)

    assert done.returncode != 0
    assert "> second==2" in done.stderr
    assert "run `make lock`" in done.stderr
    assert (folder / "requirements.lock").read_text() == "first==1\n"


def test_a_lock_that_cannot_be_made_fails_with_what_uv_says(folder: Path) -> None:
    stand_in_for_uv(folder, "echo no solution >&2; exit 1")

    done = make("--old-file=setup", "check-lock", folder=folder)

    assert done.returncode != 0
    assert "no solution" in done.stderr


def test_the_check_resolves_as_the_lock_is_made(folder: Path) -> None:
    stand_in_for_uv(folder, 'echo "$@" | sed "s|$output||" >>asked')

    for target in ("check-lock", "lock"):
        make("--old-file=setup", target, folder=folder)

    first, second = (folder / "asked").read_text().splitlines()
    assert first == second


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ["", ""]),
        ({"PIP_INDEX_URL": "http://pip.test/", "PIP_CERT": "pip.pem"}, ["http://pip.test/", "pip.pem"]),
        ({"PIP_INDEX_URL": "http://pip.test/", "UV_DEFAULT_INDEX": "http://uv.test/"}, ["http://uv.test/", ""]),
        ({"PIP_INDEX_URL": "http://pip.test/", "UV_INDEX_URL": "http://uv.test/"}, ["http://uv.test/", ""]),
        ({"PIP_CERT": "pip.pem", "SSL_CERT_FILE": "own.pem"}, ["", "own.pem"]),
    ],
)
def test_uv_is_told_the_index_and_the_certificates_of_pip(
    folder: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: list[str]
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stand_in_for_uv(folder, TELLS)

    make("--old-file=setup", "check-lock", folder=folder)

    assert (folder / "told").read_text().splitlines() == expected


def test_uv_is_told_what_pips_file_says(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "pip.conf").write_text("[global]\nindex-url = http://pip.test/\ncert = pip.pem\n", encoding="utf-8")
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(folder / "pip.conf"))
    write_program(folder / ".venv" / "bin" / "python", f'exec "{sys.executable}" "$@"')
    stand_in_for_uv(folder, TELLS)

    make("--old-file=setup", "check-lock", folder=folder)

    assert (folder / "told").read_text().splitlines() == ["http://pip.test/", "pip.pem"]
