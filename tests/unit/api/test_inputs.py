"""The reader of bodies and query strings."""

from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import UNSET, Meta, UnsetType

from tocsin_api.errors import (
    InvalidBodyError,
    InvalidInputError,
    InvalidQueryError,
    InvalidValueError,
    UnsupportedMediaTypeError,
    Violation,
)
from tocsin_api.inputs import read_body, read_id, read_query

Count = Annotated[int, Meta(ge=0, le=10, description="a whole number from 0 to 10")]


class Body(msgspec.Struct, rename="camel"):
    first_name: Annotated[str, Meta(description="a text")]
    max_retry: Count = 3
    kind: Annotated[Literal["A", "B"], Meta(description="A or B")] | UnsetType = UNSET


class Query(msgspec.Struct, rename="camel"):
    search: Annotated[str, Meta(description="a text")] | None = None
    max_retry: Count | None = None


def read(body: bytes) -> Body:
    return read_body("application/json", body, Body, {"first_name": check_name})


def check_name(name: str) -> str:
    if name == "refused":
        raise InvalidValueError("must not be refused")
    return name.strip()


def test_body_becomes_a_struct_with_tidied_values() -> None:
    body = read(b'{"firstName": " Ada ", "kind": "B"}')

    assert (body.first_name, body.max_retry, body.kind) == ("Ada", 3, "B")


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(InvalidInputError) as caught:
        read(b'{"maxRetry": 11, "kind": "C", "last": 1}')

    assert {each.field: each.message for each in caught.value.violations} == {
        "last": "is not known; allowed are firstName, maxRetry, kind",
        "firstName": "is missing; it must be a text",
        "maxRetry": "must be a whole number from 0 to 10, got 11",
        "kind": 'must be A or B, got "C"',
    }


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("null", "null"),
        ("true", "true"),
        ("1.5", "1.5"),
        ("[1]", "a list"),
        ('{"a": 1}', "an object"),
        ('"short"', '"short"'),
        ('"sixteen letters!"', "a longer text"),
        ("9" * 30, "a longer number"),
    ],
)
def test_errors_repeat_short_values_only(value: str, shown: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read(f'{{"firstName": "x", "maxRetry": {value}}}'.encode())

    assert str(caught.value) == f"maxRetry: must be a whole number from 0 to 10, got {shown}"


@pytest.mark.timeout(10)
def test_very_many_parameters_are_refused_soon() -> None:
    query = "&".join(f"{number:x}" for number in range(100_000)) + "&1"

    with pytest.raises(InvalidInputError, match=r"^1: must be given once only$"):
        read_query(query.encode(), Query, {})


def test_error_says_what_a_list_may_be_and_not_what_is_in_it() -> None:
    of = Annotated[str, Meta(description="a colour")]
    colours = msgspec.defstruct("Colours", [("all", Annotated[list[of], Meta(description="a list of colours")])])

    with pytest.raises(InvalidInputError, match=r"^all: must be a list of colours, got 1$"):
        read_body("application/json", b'{"all": 1}', colours, {})


def test_error_of_a_check_is_named_with_its_field() -> None:
    with pytest.raises(InvalidInputError, match=r"^firstName: must not be refused$"):
        read(b'{"firstName": "refused"}')


def test_errors_repeat_no_long_name_of_a_field() -> None:
    with pytest.raises(InvalidInputError) as caught:
        read(b'{"firstName": "x", "somebodys-secret": 1, "fifteen-letters": 2}')

    assert [each.field for each in caught.value.violations] == ["somebod…", "fifteen-letters"]


def test_hostile_body_gets_a_bounded_error() -> None:
    body = msgspec.json.encode({f"{n}-{'x' * 1000}": 1 for n in range(500)})

    with pytest.raises(InvalidInputError) as caught:
        read(body)

    assert len(caught.value.violations) == 50
    assert str(caught.value).endswith("; and 451 more")  # the field that is missing among them
    assert len(str(caught.value)) < 6000


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not valid JSON: "),
        (b"{", "the body is not valid JSON: "),
        (b"[]", "the body must be a JSON object"),
        (b'"text"', "the body must be a JSON object"),
        (b'{"firstName": "\xff"}', "the body must be UTF-8"),
        (b'{"firstName": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "the body is nested too deeply"),
        (b'{"firstName": NaN}', "the body is not valid JSON: "),
    ],
)
def test_body_that_is_no_object_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(InvalidBodyError) as caught:
        read(body)

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8"])
def test_json_is_read_by_its_media_type(content_type: str) -> None:
    assert read_body(content_type, b'{"firstName": "x"}', Body, {}).first_name == "x"


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/x-www-form-urlencoded"])
def test_other_media_types_are_refused(content_type: str | None) -> None:
    with pytest.raises(UnsupportedMediaTypeError, match="application/json"):
        read_body(content_type, b'{"firstName": "x"}', Body, {})


@pytest.mark.parametrize("number", [b"7", b"7.0", b"7.000"])
def test_whole_number_may_be_written_as_other_languages_write_it(number: bytes) -> None:
    assert read(b'{"firstName": "x", "maxRetry": %b}' % number).max_retry == 7


@pytest.mark.parametrize("number", [b"7.1", b'"7"', b'"7.0"', b"11.0", b"7.", b"7e0"])
def test_other_numbers_are_refused(number: bytes) -> None:
    with pytest.raises((InvalidInputError, InvalidBodyError)):
        read(b'{"firstName": "x", "maxRetry": %b}' % number)


def test_null_in_a_query_is_a_text() -> None:
    query = read_query(b"search=null", Query, {})

    assert query.search == "null"


def test_null_in_a_query_is_no_value_of_its_own() -> None:
    with pytest.raises(InvalidInputError, match="maxRetry: must be a whole number from 0 to 10, got 'null'"):
        read_query(b"maxRetry=null", Query, {})


def test_query_becomes_a_struct() -> None:
    query = read_query(b"firstName=M%C3%BCller&maxRetry=7", Body, {})

    assert (query.first_name, query.max_retry, query.kind) == ("Müller", 7, UNSET)


@pytest.mark.parametrize("name", ["M%C3%BCller", "Müller", "M%c3%bcller"])
def test_query_may_hold_what_is_not_ascii_as_it_is(name: str) -> None:
    assert read_query(f"firstName={name}".encode(), Body, {}).first_name == "Müller"


@pytest.mark.parametrize("query", [b"firstName=%FF", b"firstName=\xff", b"first%FFName=x", b"firstName=%C3"])
def test_query_that_is_no_utf8_is_refused(query: bytes) -> None:
    with pytest.raises(InvalidQueryError, match=r"^the query must be UTF-8$"):
        read_query(query, Body, {})


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (b"firstName=x&maxRetry=a", "maxRetry: must be a whole number from 0 to 10, got 'a'"),
        (b"firstName=x&maxRetry=", "maxRetry: must be a whole number from 0 to 10, got ''"),
        (b"firstName=x&maxRetry=1&maxRetry=2", "maxRetry: must be given once only"),
        (b"firstName=x&other=1", "other: is not known; allowed are firstName, maxRetry, kind"),
        (b"firstName=x&kind=sixteen+letters!", "kind: must be A or B, got a longer text"),
        (b"", "firstName: is missing; it must be a text"),
    ],
)
def test_query_that_is_wrong_is_refused(query: bytes, error: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_query(query, Body, {})

    assert str(caught.value) == error


# --- Objects within the body ------------------------------------------------------------------------------------


class Outer(msgspec.Struct, rename="camel"):
    one: Annotated[Body, Meta(description="an object")] | UnsetType = UNSET
    all_of_them: Annotated[list[Body], Meta(description="a list of objects")] | None = None


def read_outer(body: bytes) -> Outer:
    return read_body("application/json", body, Outer, {"first_name": check_name, "all_of_them": check_not_empty})


def check_not_empty(bodies: list[Body]) -> list[Body]:
    if not bodies:
        raise InvalidValueError("must not be empty")
    return bodies


def test_objects_within_the_body_are_read_and_tidied_as_the_body_is() -> None:
    outer = read_outer(b'{"one": {"firstName": " Ada "}, "allOfThem": [{"firstName": "B"}, {"firstName": "C "}]}')

    assert outer == Outer(Body("Ada"), [Body("B"), Body("C")])
    assert read_outer(b"{}") == Outer()


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (b'{"one": {}}', ["one.firstName: is missing; it must be a text"]),
        (b'{"one": {"firstName": "refused"}}', ["one.firstName: must not be refused"]),
        (
            b'{"one": {"firstName": 1}, "allOfThem": [{"firstName": "x"}, {"firstName": "", "maxRetry": 11}, {}]}',
            [
                "one.firstName: must be a text, got 1",
                "allOfThem[1].maxRetry: must be a whole number from 0 to 10, got 11",
                "allOfThem[2].firstName: is missing; it must be a text",
            ],
        ),
        (b'{"one": {"firstName": "x", "somebodys-secret": 1}}', ["one.somebod…: is not known; allowed are "]),
        (
            b'{"one": [], "allOfThem": {}}',
            ["one: must be an object, got a list", "allOfThem: must be a list of obj"],
        ),
        (b'{"one": null}', ["one: must be an object, got null"]),
        (b'{"allOfThem": [1]}', ["allOfThem: must be a list of objects, got a list"]),
        (b'{"allOfThem": []}', ["allOfThem: must not be empty"]),
    ],
)
def test_error_within_an_object_names_the_way_to_its_field(body: bytes, errors: list[str]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_outer(body)

    found = [f"{each.field}: {each.message}" for each in caught.value.violations]
    assert len(found) == len(errors)
    assert all(one.startswith(error) for one, error in zip(found, errors, strict=True))


class Few(msgspec.Struct):
    bodies: Annotated[list[Body], Meta(min_length=1, max_length=2, description="a list")] | UnsetType = UNSET


@pytest.mark.parametrize("length", [0, 3, 300_000])
def test_list_of_another_length_is_refused_before_its_objects_are_read(length: int) -> None:
    body = b'{"bodies": [' + b",".join([b"{}"] * length) + b"]}"

    with pytest.raises(InvalidInputError) as caught:
        read_body("application/json", body, Few, {})

    assert [each.message for each in caught.value.violations] == [f"has {length} entries, 1 to 2 are allowed"]
    assert caught.value.violations[0].pointer == "/bodies"


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("max_retry", "near is maxRetry; "),
        ("MAXRETRY", "near is maxRetry; "),
        ("first-name", "near is firstName; "),
        ("fristName", "near is firstName; "),
        ("zzz", ""),
        ("kind" * 11, ""),
    ],
)
def test_unknown_field_is_refused_with_the_nearest_name(name: str, guess: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read(msgspec.json.encode({"firstName": "x", name: 1}))

    [violation] = caught.value.violations
    assert violation.message == f"is not known; {guess}allowed are firstName, maxRetry, kind"


def test_as_many_unknown_fields_as_a_body_can_hold_are_refused_soon() -> None:
    body = msgspec.json.encode({f"max{n}": 1 for n in range(80_000)})

    with pytest.raises(InvalidInputError, match=r"and 79951 more$"):
        read(body)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (b'{"one": 1}', ["/one"]),
        (b'{"one": {}}', ["/one/firstName"]),
        (b'{"allOfThem": [{"firstName": "x"}, {"firstName": 1, "kind": "C"}]}',
         ["/allOfThem/1/firstName", "/allOfThem/1/kind"]),
        (b'{"one": {"firstName": "x", "a/b~c": 1}}', ["/one/a~1b~0c"]),
        (b'{"one": {"firstName": "x", "somebodys-secret": 1}, "somebodys-secret": 1}', ["", "/one"]),
        (b'{"allOfThem": []}', ["/allOfThem"]),
    ],
)  # fmt: skip
def test_error_points_at_its_place_in_the_body(body: bytes, pointers: list[str]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_outer(body)

    assert [each.pointer for each in caught.value.violations] == pointers


def test_error_between_fields_points_at_its_field() -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_body("application/json", b'{"firstName": "x"}', Body, {}, lambda _: [Violation("kind", "is odd")])

    assert [each.pointer for each in caught.value.violations] == ["/kind"]


def test_errors_of_a_query_point_nowhere() -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_query(b"maxRetry=11&other=1", Body, {})

    assert [each.pointer for each in caught.value.violations] == [None, None, None]


@pytest.mark.parametrize("text", ["", "1", "not-a-uuid", "0190b5a8-0000-7000-8000-00000000000g"])
def test_id_that_is_no_uuid_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^id: must be a UUID"):
        read_id(text)
