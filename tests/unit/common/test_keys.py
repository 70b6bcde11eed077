"""The sealing keys of a process: those that it was given, in development else the one of its folder."""

import base64
import secrets
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from structlog.testing import capture_logs

from tocsin_common.errors import SettingsError
from tocsin_common.keys import LOCAL_KEY, load_sealer, show
from tocsin_common.sealing import KEY_BYTES, Sealer

ROUNDS, AT_ONCE = 20, 8


@pytest.fixture
def local_key(tmp_path: Path) -> Path:
    """Where the key is to be; not even the folder is there yet."""
    return tmp_path / LOCAL_KEY


def key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def test_keys_that_are_given_are_taken_and_none_is_made(local_key):
    keys = f"{key()},{key()}"

    assert load_sealer(keys, local_key).key_ids == Sealer.from_setting(keys).key_ids
    assert not local_key.parent.exists()


def test_a_key_is_made_once_and_kept(local_key):
    first, again = load_sealer("", local_key), load_sealer("", local_key)

    assert again.open(first.seal("text", context=b""), context=b"") == "text"
    assert [local_key] == list(local_key.parent.iterdir())


def test_another_folder_has_another_key(tmp_path):
    one, two = (load_sealer("", tmp_path / name / LOCAL_KEY) for name in "ab")

    assert one.key_ids != two.key_ids


def test_a_key_that_was_made_is_for_its_user_alone(local_key):
    load_sealer("", local_key)

    assert stat.S_IMODE(local_key.stat().st_mode) == 0o600


def test_a_key_that_was_made_may_be_given_as_a_setting(local_key):
    made = load_sealer("", local_key)

    assert load_sealer(local_key.read_text(), local_key).key_ids == made.key_ids


def test_processes_that_start_at_once_get_the_same_key(tmp_path):
    together = Barrier(AT_ONCE)

    def start(path: Path) -> bytes:
        together.wait()
        return load_sealer("", path).first_id

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number in range(ROUNDS):
            folder = tmp_path / str(number)
            assert len(set(pool.map(start, [folder / LOCAL_KEY] * AT_ONCE))) == 1
            assert len(list((folder / LOCAL_KEY).parent.iterdir())) == 1


def test_the_log_tells_of_a_local_key_each_time_that_it_is_used(local_key):
    with capture_logs() as log:
        for _ in range(2):
            load_sealer("", local_key)

    warning = {"event": "keys.local", "log_level": "warning", "file": str(local_key)}
    assert [line for line in log if warning.items() <= line.items()] == log
    assert len(log) == 2
    assert local_key.read_text().strip() not in str(log)


def test_the_log_names_keys_by_their_ids_the_first_one_first():
    keys = f"{key()},{key()}"

    with capture_logs() as log:
        show(load_sealer(keys))

    assert [line["key_ids"] for line in log] == [Sealer.from_setting(keys).key_ids]
    assert not any(text in str(log) for text in keys.split(","))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "{path}: entry 1 is not base64 of 32 bytes (openssl rand -base64 32)"),
        (b"AAAA\n", "{path}: entry 1 is not base64 of 32 bytes (openssl rand -base64 32)"),
        (b"\xff", "SEALING_KEYS is not set, and {path} cannot hold a key instead: it is not ASCII"),
    ],
)
def test_a_file_that_holds_no_key_is_named_and_left_alone(local_key, content, reason):
    local_key.parent.mkdir()
    local_key.write_bytes(content)

    with pytest.raises(SettingsError) as caught:
        load_sealer("", local_key)

    assert str(caught.value) == reason.format(path=local_key)
    assert local_key.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_an_error_of_the_settings(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(SettingsError, match=r"^SEALING_KEYS is not set, and .* Not a directory$"):
        load_sealer("", tmp_path / "file" / LOCAL_KEY)
