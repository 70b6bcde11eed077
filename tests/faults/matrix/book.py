"""ADAPTER. `docs/faults.json` and `docs/soak.json` keep what faults and soak came to; tables are made of them.

`python -m faults.matrix.book` makes the tables anew.
"""

from collections.abc import Iterable, Sequence

from faults.matrix import results, soak_results, table
from faults.matrix.fault import Fault
from faults.matrix.results import Kept
from faults.matrix.rows import ROWS
from tocsin_local.instance import ROOT

FILE = ROOT / "docs" / "faults.json"
SOAK = ROOT / "docs" / "soak.json"
DOCUMENT = ROOT / "docs" / "reliability.md"


def keep(new: Iterable[Kept], faults: Sequence[Fault]) -> None:
    """Put new outcomes in place of older ones of the same faults; the others stay."""
    before = results.decode(FILE.read_text()) if FILE.exists() else []
    FILE.write_text(results.encode(results.merged(before, new, [fault.name for fault in faults])))
    write(faults)


def write(faults: Sequence[Fault]) -> None:
    """Write the document's table."""
    DOCUMENT.write_text(table.in_document(DOCUMENT.read_text(), results.decode(FILE.read_text()), faults))


def keep_soak(new: soak_results.Kept) -> None:
    """In place of the older one."""
    SOAK.write_text(soak_results.encode(new))
    write_soak()


def write_soak() -> None:
    """Write what the document says of the newest one, where there is one."""
    if not SOAK.exists():
        return
    DOCUMENT.write_text(soak_results.in_document(DOCUMENT.read_text(), soak_results.decode(SOAK.read_text())))


if __name__ == "__main__":
    write(ROWS)
    write_soak()
