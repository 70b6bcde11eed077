"""JSON objects out of a text that is read in pieces."""

import json
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin_api.old_files import CHUNK, MAX_LENGTH, InvalidFileError, objects

values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
rows = st.lists(st.dictionaries(st.text(max_size=10), values, max_size=5), max_size=6)


def read(text: str, piece: int = CHUNK) -> list[str]:
    stream = StringIO(text)
    return list(objects(lambda _: stream.read(piece)))


@given(rows, st.sampled_from(["", "\n", " \r\n\t"]), st.integers(1, 20), st.booleans())
def test_objects_come_as_they_are_written_wherever_the_pieces_end(
    wanted: list[dict[str, object]], space: str, piece: int, is_array: bool
) -> None:
    written = [json.dumps(each) for each in wanted]
    text = f"[{space}{f'{space},{space}'.join(written)}{space}]" if is_array else space.join(written)

    assert read(space + text + space, piece) == written


def test_an_object_keeps_its_spelling() -> None:
    row = '{"n": 1.50, "big": 1e400, "long": ' + "1" * 5000 + ', "s": "\\u00e9]}"}'

    assert read(f"[{row}]") == [row]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("null", 1), ("5", 1), ('"x"', 1), ("[1]", 1), ("[[{}]]", 1), ("{", 1), ('{"a": 1', 1), ('{"a": 1} x', 2),
        ("[{}, ", 2), ("[{},]", 2), ("[{} {}]", 1), ("[{}", 1), ('{"a": }', 1), ("{} {'a': 1}", 2),
    ],
)  # fmt: skip
def test_what_is_no_object_is_refused_by_its_place(text: str, place: int) -> None:
    with pytest.raises(InvalidFileError, match=f"object {place} "):
        read(text)


@pytest.mark.parametrize("text", ["[{}] {}", "[]]"])
def test_nothing_follows_an_array(text: str) -> None:
    with pytest.raises(InvalidFileError, match="something follows the array"):
        read(text)


def test_an_object_may_not_be_endless() -> None:
    with pytest.raises(InvalidFileError, match="longer than"):
        read('{"a": "' + "x" * (MAX_LENGTH + 2 * CHUNK) + '"}')


def test_objects_nested_without_end_are_refused() -> None:
    with pytest.raises(InvalidFileError, match="object 1 "):
        read('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}")
