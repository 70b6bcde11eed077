"""ADAPTER. `docs/faults.json`, which keeps what the faults came to, and the table that is made of it.

`python -m faults.matrix.book` makes the table anew.
"""

from collections.abc import Iterable, Sequence

from faults.matrix import results, table
from faults.matrix.fault import Fault
from faults.matrix.results import Kept
from faults.matrix.rows import ROWS
from tocsin_local.instance import ROOT

FILE = ROOT / "docs" / "faults.json"
DOCUMENT = ROOT / "docs" / "reliability.md"


def keep(new: Iterable[Kept], faults: Sequence[Fault]) -> None:
    """Put new outcomes in place of older ones of the same faults; the others stay."""
    before = results.decode(FILE.read_text()) if FILE.exists() else []
    FILE.write_text(results.encode(results.merged(before, new, [fault.name for fault in faults])))
    write(faults)


def write(faults: Sequence[Fault]) -> None:
    """Write the document's table."""
    DOCUMENT.write_text(table.in_document(DOCUMENT.read_text(), results.decode(FILE.read_text()), faults))


if __name__ == "__main__":
    write(ROWS)
