"""ETag and If-Match."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin_api.errors import ChangedMeanwhileError, InvalidInputError
from tocsin_api.preconditions import PATTERN, check_revision, etag, read_if_match


@pytest.mark.parametrize(
    ("headers", "revisions"),
    [
        ([], None),
        (["*"], None),
        ([" * "], None),
        (['"3"'], [3]),
        (['"3", "41"'], [3, 41]),
        (['"3"', '"41"'], [3, 41]),
        (['"3" ,\t"41" '], [3, 41]),
        (['W/"3"'], []),
        (['W/"3", "4"'], [4]),
        (['"03"', '"0"', '"x"', '""', '"-1"', f'"{10**30}"', '"é"'], []),
        (['"a,b", "4"'], [4]),
    ],
)
def test_if_match_is_read(headers: list[str], revisions: list[int] | None) -> None:
    assert read_if_match(headers) == revisions


@pytest.mark.parametrize("header", ["", "3", '"3', '3"', '"3" "4"', '"3",', ', "3"', '*, "3"', 'w/"3"', '"a\n"'])
def test_if_match_that_is_no_list_of_etags_is_refused(header: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^If-Match: must be "):
        read_if_match([header])


@given(st.from_regex(PATTERN, fullmatch=True))
def test_whatever_the_document_allows_is_read(header: str) -> None:
    assert read_if_match([header.rstrip("\n")]) is None or '"' in header


def test_hostile_if_match_is_refused_soon() -> None:
    with pytest.raises(InvalidInputError):
        read_if_match(['"1" , ' * 10_000])


def test_etag_of_a_revision_matches_it_and_no_other() -> None:
    wanted = read_if_match([etag(7)])

    check_revision(7, wanted)
    check_revision(8, None)
    with pytest.raises(ChangedMeanwhileError) as caught:
        check_revision(8, wanted)
    assert caught.value.headers == {"ETag": '"8"'}
