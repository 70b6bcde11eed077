"""Sealed webhook URLs: who can open them, and what their hashes tell."""

import base64
import secrets

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin_common.errors import MissingKeyError, SealingError, SettingsError
from tocsin_common.sealing import KEY_BYTES, Sealer

OLD, NEW, OTHER = (bytes([n]) * KEY_BYTES for n in (1, 2, 3))
URL = "https://discord.com/api/webhooks/1/token"
TASK, OTHER_TASK = b"task 1", b"task 2"


def setting(*keys: bytes) -> str:
    return ",".join(base64.b64encode(key).decode() for key in keys)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])), st.binary(max_size=32))
def test_what_is_sealed_opens_in_its_context(text, context):
    sealer = Sealer([OLD])

    assert sealer.open(sealer.seal(text, context=context), context=context) == text


def test_a_sealed_value_never_looks_the_same_and_shows_nothing_of_the_text():
    sealer = Sealer([OLD])

    sealed = [sealer.seal(URL, context=TASK) for _ in range(100)]

    assert len(set(sealed)) == 100
    assert not any(b"discord" in value or b"token" in value for value in sealed)


def test_a_value_sealed_for_another_task_does_not_open():
    sealer = Sealer([OLD])

    with pytest.raises(SealingError, match="was changed, or belongs to another task: set the task's webhookUrl"):
        sealer.open(sealer.seal(URL, context=TASK), context=OTHER_TASK)


def test_a_value_sealed_with_an_unknown_key_says_which_key_is_missing_and_what_to_do():
    other = Sealer([OTHER])

    with pytest.raises(MissingKeyError) as caught:
        Sealer([OLD, NEW]).open(other.seal(URL, context=TASK), context=TASK)

    assert str(caught.value) == (
        f"no key with the id {other.key_ids[0]} is in SEALING_KEYS: add the key that sealed it, "
        "or set the task's webhookUrl anew"
    )


def test_a_value_that_was_changed_lacks_no_key():
    sealer = Sealer([OLD])
    sealed = sealer.seal(URL, context=TASK)

    with pytest.raises(SealingError) as caught:
        sealer.open(sealed[:-1] + b"\0", context=OTHER_TASK)

    assert not isinstance(caught.value, MissingKeyError)


@settings(deadline=None)
@given(st.data())
def test_a_value_that_was_changed_anywhere_does_not_open(data):
    sealer = Sealer([OLD])
    sealed = bytearray(sealer.seal(URL, context=TASK))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))

    with pytest.raises(SealingError):
        sealer.open(bytes(sealed), context=TASK)


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 11, 12, 15, 16, 17, 31, 32, 60, 71])
def test_a_value_that_was_cut_off_does_not_open(length):
    sealer = Sealer([OLD])
    sealed = sealer.seal(URL, context=TASK)

    with pytest.raises(SealingError):
        sealer.open(sealed[:length], context=TASK)


def test_the_first_key_seals_and_all_of_them_open():
    by_old, by_new = Sealer([OLD]).seal(URL, context=TASK), Sealer([NEW]).seal(URL, context=TASK)
    rotated = Sealer([NEW, OLD])

    assert rotated.open(by_old, context=TASK) == rotated.open(by_new, context=TASK) == URL
    assert Sealer([NEW]).open(rotated.seal(URL, context=TASK), context=TASK) == URL


def test_what_the_first_key_sealed_begins_with_its_id():
    rotated = Sealer([NEW, OLD])

    assert rotated.seal(URL, context=TASK).startswith(rotated.first_id)
    assert not Sealer([OLD]).seal(URL, context=TASK).startswith(rotated.first_id)
    assert rotated.key_ids == [Sealer([NEW]).first_id.hex(), Sealer([OLD]).first_id.hex()]


def test_the_hashes_are_those_under_each_key_the_first_keys_first():
    assert Sealer([NEW, OLD]).hashes(URL) == [Sealer([NEW]).hash(URL), Sealer([OLD]).hash(URL)]


def test_hashes_are_equal_for_equal_texts_only():
    sealer = Sealer([OLD])

    assert sealer.hash(URL) == sealer.hash(URL) == Sealer([OLD, NEW]).hash(URL)
    assert len({sealer.hash(text) for text in (URL, f"{URL}/", URL.upper(), "")}) == 4


def test_a_hash_is_32_bytes_of_a_key_of_its_own():
    assert len(Sealer([OLD]).hash(URL)) == 32
    assert Sealer([OLD]).hash(URL) != Sealer([NEW]).hash(URL)


def test_keys_of_the_setting_are_read_in_order_with_spaces_around_them():
    sealer = Sealer.from_setting(f" {setting(NEW)} ,\n{setting(OLD)} ")

    assert Sealer([NEW]).open(sealer.seal(URL, context=TASK), context=TASK) == URL
    assert sealer.open(Sealer([OLD]).seal(URL, context=TASK), context=TASK) == URL


@pytest.mark.parametrize(
    ("keys", "position"),
    [
        ("", 1),
        (" ", 1),
        ("no base64 at all!", 1),
        ("\u00e9", 1),
        (setting(bytes(31)), 1),
        (setting(bytes(33)), 1),
        (setting(OLD)[:-1], 1),
        (f"{setting(OLD)},", 2),
        (f"{setting(OLD)},,{setting(NEW)}", 2),
        (f"{setting(OLD)};{setting(NEW)}", 1),
        (f"{setting(OLD, NEW)},short", 3),
    ],
)
def test_a_setting_that_holds_no_keys_names_the_bad_entry(keys, position):
    with pytest.raises(SettingsError) as caught:
        Sealer.from_setting(keys)

    assert str(caught.value) == (
        f"SEALING_KEYS: entry {position} is not base64 of 32 bytes (openssl rand -base64 32)"
    )


@pytest.mark.parametrize(("keys", "position"), [([OLD, OLD], 2), ([OLD, NEW, OTHER, NEW], 4)])
def test_a_key_that_is_given_twice_is_refused(keys, position):
    with pytest.raises(SettingsError) as caught:
        Sealer.from_setting(setting(*keys))

    assert str(caught.value) == f"SEALING_KEYS: entry {position} is an earlier one again"


def test_an_error_about_keys_of_a_file_names_the_file():
    with pytest.raises(SettingsError, match=r"^a-file: entry 1 is not base64"):
        Sealer.from_setting("short", source="a-file")


def test_an_error_about_keys_repeats_none():
    almost = base64.b64encode(secrets.token_bytes(31)).decode()

    with pytest.raises(SettingsError) as caught:
        Sealer.from_setting(f"{setting(OLD)},{almost}")

    assert almost not in repr(caught.value)
    assert setting(OLD) not in repr(caught.value)
