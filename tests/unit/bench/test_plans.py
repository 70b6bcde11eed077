"""What was read without an index, by the plans."""

from typing import Any

from bench.plans import read_without_index


def scan(node_type: str, relation: str, rows: int, *, removed: int = 0, loops: int = 1) -> dict[str, Any]:
    return {
        "Node Type": node_type,
        "Relation Name": relation,
        "Actual Rows": rows,
        "Actual Loops": loops,
        "Rows Removed by Filter": removed,
    }


def test_what_was_read_without_an_index_is_named_wherever_in_the_plan() -> None:
    scans = [
        scan("Seq Scan", "of_many_rows", 11),
        scan("Seq Scan", "of_rows_that_a_filter_removed", 1, removed=10),
        scan("Seq Scan", "by_several_workers", 4, loops=3),
        scan("Seq Scan", "twice", 6),
        scan("Seq Scan", "twice", 6),
        scan("Seq Scan", "of_few_rows", 10),
    ]
    plan = {"Node Type": "Limit", "Plans": [{"Node Type": "Append", "Plans": scans}]}

    found = read_without_index(plan, most_rows=10)

    assert found == ["by_several_workers", "of_many_rows", "of_rows_that_a_filter_removed", "twice"]


def test_what_was_read_by_an_index_is_not_named() -> None:
    inner = [scan(kind, "tasks", 1000) for kind in ("Index Scan", "Index Only Scan", "Bitmap Heap Scan")]

    assert read_without_index({"Node Type": "Nested Loop", "Plans": inner}, most_rows=10) == []
