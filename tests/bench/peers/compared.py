"""PURE. How far Tocsin is ahead of each peer, by the rows of one race, and which races say so."""

from collections.abc import Collection, Iterator, Sequence

from bench.figures import at_least, at_most, row
from tocsin_local.errors import StackError
from tocsin_local.report import Row

OWN = "tocsin"
FIGURES = ("rate", "p99")


def refuse(entered: Collection[str], known: Collection[str], *, keep: bool) -> None:
    """StackError where contenders are to run without Tocsin, or some of them are to be kept.

    Figures of a race are compared with one another, so all of them are of one run.
    """
    if entered and OWN not in entered:
        raise StackError(f"ONLY names {', '.join(entered)} without {OWN}: a race is one with {OWN}.")
    if entered and keep and (missing := [name for name in known if name not in entered]):
        raise StackError(f"KEEP=1 keeps a race of all contenders: ONLY leaves out {', '.join(missing)}.")


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
