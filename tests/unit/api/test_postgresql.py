"""Conditions that are asked for, as one statement takes them."""

import pytest

from tocsin_api.postgresql import given


@pytest.mark.parametrize(
    ("conditions", "text", "values"),
    [
        ([], "true", []),
        ([("a = $", None)], "true", []),
        ([("a = $", 7)], "true AND a = $1", [7]),
        ([("a = $", None), ("b = $", "x"), ("c < $", None), ("d < $", 0)], "true AND b = $1 AND d < $2", ["x", 0]),
        ([("a = $", False), ("b = $", "")], "true AND a = $1 AND b = $2", [False, ""]),
    ],
)
def test_conditions_without_a_value_are_left_out(
    conditions: list[tuple[str, object]], text: str, values: list[object]
) -> None:
    assert given(*conditions) == (text, values)
