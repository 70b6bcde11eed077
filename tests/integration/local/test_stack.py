"""The local stack: ports, processes that are recognised, settings, and what killed runs leave behind."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tocsin_local import instance as instances
from tocsin_local import ports, process
from tocsin_local.environment import caller_environment, parse_env
from tocsin_local.errors import StackError
from tocsin_local.instance import Instance
from tocsin_local.postgres import Postgres
from tocsin_local.redis import Redis
from tocsin_local.services import Services
from tocsin_local.stack import Stack

SLEEP = ["sleep", "1000"]


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Instance]:
    """An instance of its own in a folder of its own, locked."""
    monkeypatch.setenv("TOCSIN_LOCAL_DIR", str(tmp_path / "local"))
    instance = Instance("some")
    instance.lock()
    yield instance
    instance.unlock()


@pytest.fixture
def postgres(instance: Instance) -> Iterator[Postgres]:
    """A server that is stopped afterwards, whatever a test left of it."""
    server = Postgres(instance)
    yield server
    server.stop()


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A program that is none of the stack's."""
    with subprocess.Popen(SLEEP) as program:
        yield program
        program.kill()


def spawn(record: Path, command: list[str] = SLEEP) -> int:
    process.spawn(record, command, os.environ, record.parent, record.with_suffix(".log"))
    number = process.pid(record)
    assert number is not None
    return number


def listen(port: int = 0) -> socket.socket:
    return socket.create_server(("127.0.0.1", port))


def answers(server: Postgres) -> bool:
    port = int(server.url.rpartition(":")[2].partition("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        return True


class TestPorts:
    def test_port_that_somebody_listens_on_is_not_free(self) -> None:
        with listen() as taken:
            assert not ports.is_free(taken.getsockname()[1])

    def test_chosen_port_can_be_listened_on(self) -> None:
        port = ports.choose()

        with listen(port) as server:
            assert server.getsockname()[1] == port

    def test_port_is_remembered(self, instance: Instance) -> None:
        port = instance.port("amqp")

        assert Instance("some").port("amqp") == port

    def test_taken_port_is_replaced_and_a_free_one_stays(self, instance: Instance) -> None:
        taken, free = instance.port("amqp"), instance.port("epmd")

        with listen(taken):
            instance.settle_ports(["amqp", "epmd"], same=False)

        assert instance.port("amqp") != taken
        assert instance.port("epmd") == free

    def test_taken_port_that_must_stay_is_an_error(
        self, instance: Instance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(instances, "PORTS_TIMEOUT_S", 0)

        with listen(instance.port("amqp")), pytest.raises(StackError, match="needs its ports back"):
            instance.settle_ports(["amqp"], same=True)


class TestInstance:
    def test_second_user_is_told_who_uses_it(self, instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(instances, "LOCK_TIMEOUT_S", 0)

        with pytest.raises(StackError, match=f"in use by process {os.getpid()}"):
            Instance("some").lock()

    def test_state_is_for_its_owner_only(self, instance: Instance) -> None:
        instance.secret("postgres")

        assert (instance.folder / "state.json").stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("name", ["", "..", "a/b", "Up", "-x", "a" * 32])
    def test_name_that_is_no_folder_name_is_refused(self, name: str) -> None:
        with pytest.raises(StackError, match="cannot name an instance"):
            Instance(name)


class TestRedis:
    def test_server_answers_who_has_its_password_and_is_stopped(self, instance: Instance) -> None:
        server = Redis(instance)

        server.start()
        with socket.create_connection(("127.0.0.1", instance.port("redis")), timeout=5) as stranger:
            stranger.sendall(b"PING\r\n")
            refusal = stranger.recv(100)
        again = Redis(instance).pids()
        server.stop()

        assert refusal.startswith(b"-NOAUTH")
        assert again.keys() == {"redis"}
        assert Redis(instance).pids() == {}

    def test_stack_has_one_only_where_it_is_asked_for(self, instance: Instance) -> None:
        without, given = Stack("some"), Stack("some", env={"REDIS_URL": "redis://r.example"}, with_redis=True)
        own = Stack("some", with_redis=True)

        assert "redis" not in without.expected() + given.expected()
        assert "redis" in own.expected()
        assert (without.urls.redis_url, given.urls.redis_url) == ("", "redis://r.example")
        assert own.urls.redis_url.endswith(f"@127.0.0.1:{instance.port('redis')}")


class TestProcess:
    def test_stopped_process_is_gone(self, tmp_path: Path) -> None:
        number = spawn(tmp_path / "it")

        assert process.stop(tmp_path / "it")
        assert process.start_ticks(number) is None
        assert not (tmp_path / "it").exists()

    def test_process_that_ignores_sigterm_is_killed(self, tmp_path: Path) -> None:
        number = spawn(tmp_path / "it", ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"])
        process.wait_until(lambda: "ready" in (tmp_path / "it.log").read_text(), 5)

        process.stop(tmp_path / "it", patience_s=0.1)

        assert process.start_ticks(number) is None

    def test_frozen_process_is_stopped(self, tmp_path: Path) -> None:
        number = spawn(tmp_path / "it")
        os.kill(number, signal.SIGSTOP)

        process.stop(tmp_path / "it")

        assert process.start_ticks(number) is None

    def test_killed_process_counts_as_dead_and_keeps_its_record(self, tmp_path: Path) -> None:
        spawn(tmp_path / "it")

        process.kill(tmp_path / "it")

        assert process.pid(tmp_path / "it") is None
        assert (tmp_path / "it").exists()

    def test_program_that_took_over_a_pid_is_never_stopped(
        self, tmp_path: Path, stranger: subprocess.Popen[bytes]
    ) -> None:
        spawn(tmp_path / "it")
        boot_id = (tmp_path / "it").read_text().splitlines()[1]
        process.stop(tmp_path / "it")
        stat = Path(f"/proc/{stranger.pid}/stat").read_text()
        ticks = str(process.start_ticks(stranger.pid))
        (tmp_path / "it").write_text(f"{stat.replace(ticks, str(int(ticks) - 1))}{boot_id}\n")

        stopped = process.stop(tmp_path / "it")

        assert not stopped
        assert stranger.poll() is None

    def test_record_of_an_earlier_boot_names_nobody(
        self, tmp_path: Path, stranger: subprocess.Popen[bytes]
    ) -> None:
        stat = Path(f"/proc/{stranger.pid}/stat").read_text()
        (tmp_path / "it").write_text(f"{stat}another-boot\n")

        assert process.pid(tmp_path / "it") is None

    @pytest.mark.parametrize("text", ["", "12 (cut", "12 (cut)\nboot\n", "no\nboot\n", "one\ntwo\nthree\n"])
    def test_broken_record_names_nobody(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "it").write_text(text)

        assert process.pid(tmp_path / "it") is None

    def test_process_that_ends_at_once_is_reported_with_its_log(self, tmp_path: Path) -> None:
        log = tmp_path / "it.log"
        process.spawn(tmp_path / "it", ["sh", "-c", "echo no such setting"], os.environ, tmp_path, log)

        with pytest.raises(StackError, match=r"(?s)sender ended.*no such setting"):
            process.wait_ready("sender", tmp_path / "it", log, lambda: False, 10)


class TestEnvironment:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("A=1\nB=two words\n", {"A": "1", "B": "two words"}),
            ("export A=1", {"A": "1"}),
            ("  A = 1  ", {"A": "1"}),
            ("A='x # y'", {"A": "x # y"}),
            ('A="x" # y', {"A": "x"}),
            ("A=x # y", {"A": "x"}),
            ("A=x#y", {"A": "x#y"}),
            ("A=http://h/?a=b&c=d", {"A": "http://h/?a=b&c=d"}),
            ("A=", {}),
            ("A= # nothing", {}),
            ("# A=1\n\nno line\n1A=2", {}),
        ],
    )
    def test_env_file_is_read(self, text: str, expected: dict[str, str]) -> None:
        assert parse_env(text) == expected

    def test_environment_wins_over_the_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / ".env").write_text("A_FIRST=file\nA_SECOND=file\nA_THIRD=file")
        monkeypatch.setenv("A_FIRST", "environment")
        monkeypatch.setenv("A_SECOND", "")

        env = caller_environment(tmp_path / ".env")

        assert (env["A_FIRST"], env["A_SECOND"], env["A_THIRD"]) == ("environment", "file", "file")

    def test_secret_is_read_from_its_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "key").write_text("a key\n")
        monkeypatch.setenv("API_KEY_FILE", str(tmp_path / "key"))

        env = caller_environment(tmp_path / ".env")

        assert env["API_KEY"] == "a key"
        assert "API_KEY_FILE" not in env

    def test_given_servers_replace_the_stacks_own(self, instance: Instance) -> None:
        given = {"DATABASE_URL": "postgresql://db/x", "RABBITMQ_URL": "amqp://mq/"}

        urls = Stack("some", env=given).urls

        assert (urls.database_url, urls.rabbitmq_url, urls.management_url) == (*given.values(), "")

    def test_processes_listen_on_loopback_and_keep_their_keys(self, instance: Instance) -> None:
        env = {"HOST": "0.0.0.0", "EXTRA": "1"}  # noqa: S104 - what it must not listen on

        first, again = (Services(Stack("some", env={}), env=env).environment() for _ in range(2))

        assert first["HOST"] == "127.0.0.1"
        assert first["EXTRA"] == "1"
        assert first == again

    def test_sealing_keys_go_to_those_that_open_something_and_are_made_for_development_only(
        self, instance: Instance
    ) -> None:
        stack = Stack("some", env={})
        made, given, production = (
            Services(stack, env=env) for env in ({}, {"SEALING_KEYS": "given"}, {"ENVIRONMENT": "production"})
        )

        assert made.environment("api")["SEALING_KEYS"] == made.environment("sender-2")["SEALING_KEYS"] != ""
        assert given.environment("api")["SEALING_KEYS"] == "given"
        assert "SEALING_KEYS" not in production.environment("api")
        assert "SEALING_KEYS" not in given.environment("scheduler-2")


class TestPostgres:
    def test_it_survives_kills_cut_off_starts_and_strange_pid_files(
        self, postgres: Postgres, instance: Instance, stranger: subprocess.Popen[bytes]
    ) -> None:
        data = instance.folder / "postgres" / "data"
        data.mkdir(parents=True)
        (data / "PG_VERSION").write_text("15\n")  # as initdb leaves it when it is killed

        postgres.start()

        assert answers(postgres)
        url = postgres.url

        process.kill(instance.record("postgres"))
        postgres.start()

        assert answers(postgres)

        postgres.stop()
        (data / "postmaster.pid").write_text(f"{stranger.pid}\n{data}\n")
        postgres.start()

        assert answers(postgres)
        assert postgres.url == url
        assert stranger.poll() is None

        instance.record("postgres").unlink()  # now only its command line tells whose server it is
        postgres.start()

        assert answers(postgres)
