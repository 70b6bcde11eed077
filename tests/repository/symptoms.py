"""PURE. What a document says that Tocsin writes, errors and events of the log, is written by its code.

A document shows it in the first column of its tables, in backticks, with `…` for what differs from time to time.
"""

import ast
import re
from collections.abc import Iterable, Iterator

from markdown_it import MarkdownIt

EVENT = re.compile(r"[a-z_]+\.[a-z_]+")
VALUE = re.compile(r"[\w./{}-]+|[A-Z]+ /\S*")
"""A name, a value or a request: none of it is a sentence."""

_markdown = MarkdownIt("commonmark").enable("table")


def quoted(text: str) -> Iterator[tuple[int, str]]:
    """The code in the first column of each table's rows, with the line of the table's row."""
    tokens = _markdown.parse(text)
    for number, token in enumerate(tokens):
        if token.type == "tr_open" and tokens[number + 1].type == "td_open":
            line = token.map[0] + 1 if token.map else 1
            for child in tokens[number + 2].children or []:
                if child.type == "code_inline":
                    yield line, child.content


def unwritten(path: str, text: str, sources: Iterable[str]) -> Iterator[str]:
    """What a document quotes and no source has, as an event or within one text."""
    texts = {each for source in sources for each in strings(source)}
    for line, quote in quoted(text):
        if EVENT.fullmatch(quote):
            if quote not in texts:
                yield f"{path}:{line}: no log has the event `{quote}`"
        elif not VALUE.fullmatch(quote) and not any(_says(each, quote) for each in texts):
            yield f"{path}:{line}: nothing writes `{quote}`"


def _says(text: str, quote: str) -> bool:
    """Whether the text has all parts of the quote, in this order."""
    at = 0
    for part in quote.split("…"):
        found = text.find(part.strip(" :;"), at)
        if found < 0:
            return False
        at = found + len(part.strip(" :;"))
    return True


def strings(source: str) -> Iterator[str]:
    """The texts in a Python source, `…` in their gaps, without docstrings."""
    tree = ast.parse(source)
    said_to_readers = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said_to_readers:
            yield node.value
