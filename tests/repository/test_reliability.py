"""The table of the fault matrix is what its kept results say, and nobody's handiwork."""

from faults.matrix import results, soak_results, table
from faults.matrix.rows import ROWS
from repository import tracked


def test_the_table_of_the_fault_matrix_is_made_of_its_results() -> None:
    document = tracked.texts()["docs/reliability.md"]
    kept = results.decode(tracked.texts()["docs/faults.json"])

    assert table.in_document(document, kept, ROWS) == document


def test_what_is_said_of_the_soak_is_made_of_its_result() -> None:
    document = tracked.texts()["docs/reliability.md"]
    kept = soak_results.decode(tracked.texts()["docs/soak.json"])

    assert soak_results.in_document(document, kept) == document


def test_each_fault_has_a_kept_result_and_nothing_else_has() -> None:
    kept = results.decode(tracked.texts()["docs/faults.json"])

    assert [each.outcome.name for each in kept] == [fault.name for fault in ROWS]


def test_each_fault_has_a_name_of_its_own() -> None:
    names = [fault.name for fault in ROWS]

    assert len(names) == len(set(names))
