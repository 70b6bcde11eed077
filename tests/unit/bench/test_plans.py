"""What was read although no index chose it, by the plans."""

from typing import Any

from bench.plans import read_unchosen


def scan(node_type: str, relation: str, rows: int, *, removed: int = 0, loops: int = 1) -> dict[str, Any]:
    return {
        "Node Type": node_type,
        "Relation Name": relation,
        "Actual Rows": rows,
        "Actual Loops": loops,
        "Rows Removed by Filter": removed,
    }


def test_what_no_index_chose_is_named_wherever_in_the_plan() -> None:
    scans = [
        scan("Seq Scan", "of_many_rows", 11),
        scan("Seq Scan", "of_rows_filtered", 1, removed=10),
        scan("Index Scan", "in_order", 1, removed=11),
        scan("Seq Scan", "by_several_workers", 4, loops=3),
        scan("Seq Scan", "twice", 6),
        scan("Seq Scan", "twice", 6),
        scan("Seq Scan", "of_few_rows", 10),
    ]
    plan = {"Node Type": "Limit", "Plans": [{"Node Type": "Append", "Plans": scans}]}

    found = read_unchosen(plan, most_rows=10)

    named = [
        "by_several_workers",
        "in_order",
        "of_many_rows",
        "of_rows_filtered",
        "twice",
    ]
    assert found == named


def test_what_an_index_chose_is_not_named() -> None:
    inner = [scan(kind, "tasks", 1000) for kind in ("Index Scan", "Index Only Scan", "Bitmap Heap Scan")]

    assert read_unchosen({"Node Type": "Nested Loop", "Plans": inner}, most_rows=10) == []
