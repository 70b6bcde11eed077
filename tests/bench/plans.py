"""PURE. What PostgreSQL read without an index, by its plans."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any


def read_without_index(plan: Mapping[str, Any], *, most_rows: float) -> list[str]:
    """The tables and partitions that an analysed plan has read more than `most_rows` of without an index, by name.

    What stops early does not count as more than it has read: the count of a long list takes what comes first.
    """
    rows: Counter[str] = Counter()
    for node in _nodes(plan):
        if node["Node Type"] == "Seq Scan":
            a_loop = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            rows[node["Relation Name"]] += a_loop * node["Actual Loops"]
    return sorted(name for name, read in rows.items() if read > most_rows)


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)
