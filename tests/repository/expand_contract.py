"""PURE. What a migration takes away from the processes of the release before, which run on beside the new ones."""

import re
from collections.abc import Collection, Iterator, Mapping

# Bodies of functions, texts and comments: nothing in them is done by the migration itself.
QUOTED = re.compile(r"(\$\w*\$).*?\1|'(?:[^']|'')*'|--[^\n]*", re.DOTALL)
NAME = r'"?[\w.]+"?'
NOT_A_COLUMN = r"(?!(?:CONSTRAINT|CHECK|PRIMARY|UNIQUE|FOREIGN|EXCLUDE|TO)\b)"
DROPPED = re.compile(
    rf"DROP (TABLE|FUNCTION|VIEW|TYPE|SEQUENCE|SCHEMA) (?:IF EXISTS )?({NAME}(?:, ?{NAME})*)", re.IGNORECASE
)
ALTERED = re.compile(rf"ALTER TABLE (?:IF EXISTS )?(?:ONLY )?({NAME}) (.*)", re.IGNORECASE)
TAKEN = {
    rf"DROP (?:COLUMN )?(?:IF EXISTS )?{NOT_A_COLUMN}({NAME})": "is dropped",
    rf"RENAME (?:COLUMN )?{NOT_A_COLUMN}({NAME}) TO\b": "is renamed",
    rf"ALTER (?:COLUMN )?({NAME}) (?:SET DATA )?TYPE\b": "gets another type",
    rf"ALTER (?:COLUMN )?({NAME}) SET NOT NULL": "may not be left empty any more",
    rf"ADD (?:COLUMN )?(?:IF NOT EXISTS )?{NOT_A_COLUMN}({NAME}) (?!.*DEFAULT).*NOT NULL": "may not be left empty",
    # What holds for a new column alone stands in that column's own line.
    rf"ADD (?:CONSTRAINT ({NAME}) |(?=(CHECK|UNIQUE|PRIMARY|FOREIGN|EXCLUDE)\b))": "refuses what could be written",
}
UNIQUE_INDEX = re.compile(
    rf"CREATE UNIQUE INDEX (?:CONCURRENTLY )?(?:IF NOT EXISTS )?({NAME}) ON (?:ONLY )?({NAME})", re.IGNORECASE
)
CREATED = re.compile(rf"CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?({NAME})", re.IGNORECASE)
WHOLE_TABLE = re.compile(r"RENAME TO\b", re.IGNORECASE)


def problems(sql: str, contracts: Mapping[str, str], releases: Collection[str]) -> Iterator[str]:
    """What is wrong with a migration that runs `sql`.

    `contracts` is its own statement: what it takes away, each with the release that already did without.
    """
    found = dict(taken_away(sql))
    for name, how in found.items():
        if name not in contracts:
            yield f"{name} {how}: the release before may need it; say in CONTRACTS which one already does without"
        elif contracts[name] not in releases:
            yield f"{name} {how}: there is no release {contracts[name]} that does without yet"
    for name in contracts.keys() - found.keys():
        yield f"{name} is in CONTRACTS and stays as it is"


def taken_away(sql: str) -> Iterator[tuple[str, str]]:
    """Each table, column or function that processes of before would look for in vain, and what becomes of it."""
    statements = [" ".join(statement.split()) for statement in QUOTED.sub("''", sql).split(";")]
    own = {name for text in statements for name in CREATED.findall(text)}  # nobody of before uses them
    for text in statements:
        for kind, names in DROPPED.findall(text):
            for name in names.split(","):
                yield f"{kind.lower()} {name.strip()}", "is dropped"
        for index, table in UNIQUE_INDEX.findall(text):
            if table not in own:
                yield f"{table}.{index}", "refuses what could be written"
        if (altered := ALTERED.search(text)) and altered[1] not in own:
            yield from _of_table(*altered.groups())


def _of_table(table: str, actions: str) -> Iterator[tuple[str, str]]:
    if WHOLE_TABLE.match(actions):
        yield f"table {table}", "is renamed"
    for action in re.split(r",(?![^(]*\))", actions):
        for pattern, how in TAKEN.items():
            if found := re.match(pattern, action.strip(), re.IGNORECASE):
                yield f"{table}.{next(filter(None, found.groups()))}", how
