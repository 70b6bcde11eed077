"""PURE. How far Tocsin is ahead of each peer, by the rows of one run."""

from collections.abc import Iterator, Sequence

from bench.figures import at_least, at_most, row
from tocsin_local.report import Row

OWN = "tocsin"
FIGURES = ("rate", "p99")


def rows(measured: Sequence[Row], burst: str = "burst_5k") -> Iterator[Row]:
    """For each peer that was measured beside Tocsin: Tocsin's figures of the burst by the peer's."""
    values = {each.name: each.value for each in measured}
    peers = [name.partition(".")[0] for name in values if name.endswith(f".{burst}.rate")]
    own = f"{OWN}.{burst}"
    if OWN not in peers:
        return
    for peer in peers:
        if peer != OWN:
            rate, p99 = (values[f"{own}.{each}"] / values[f"{peer}.{burst}.{each}"] for each in FIGURES)
            yield row(f"{peer}.tocsin_by.rate", [rate], "x", at_least(1))
            yield row(f"{peer}.tocsin_by.p99", [p99], "x", at_most(1))
