"""PURE. What PostgreSQL read without an index that chose it, by its plans."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any


def read_unchosen(plan: Mapping[str, Any], *, most_rows: float) -> list[str]:
    """Names of the tables and partitions of which an analysed plan has read more rows that no index chose.

    Those are all rows of a sequential scan, and of any other those that a filter threw away. What stops early does
    not count as more than it has read: the count of a long list takes what comes first.
    """
    rows: Counter[str] = Counter()
    for node in _nodes(plan):
        if "Relation Name" in node:
            kept = node["Actual Rows"] if node["Node Type"] == "Seq Scan" else 0
            rows[node["Relation Name"]] += (kept + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    return sorted(name for name, read in rows.items() if read > most_rows)


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)
