"""PURE. What the documents name exists: links with their anchors, commands, files."""

import ast
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

COMMAND = re.compile(r"(?<![\w./-])(make|tocsin-api|tocsin-dispatcher|python3? -m tocsin_local)((?: +[\w=./-]+)+)")
FILE = re.compile(r"[\w…*.-][\w…*./-]*")
SUFFIXES = (".lock", ".md", ".py", ".toml", ".yaml", ".yml")

_markdown = MarkdownIt("commonmark").enable("table")


class Piece(NamedTuple):
    """A part of a document that names something, and the line where it, or its paragraph, begins."""

    line: int
    text: str
    is_block: bool = False


def links(text: str) -> Iterator[Piece]:
    """The targets of links and pictures."""
    for line, token in _inline(text):
        target = token.attrs.get("href") or token.attrs.get("src")
        if target:
            yield Piece(line, str(target))


def code(text: str) -> Iterator[Piece]:
    """The code between backticks, and the lines of code blocks without their comments."""
    for line, token in _inline(text):
        if token.type == "code_inline":
            yield Piece(line, token.content)
    for token in _markdown.parse(text):
        if token.type in ("fence", "code_block") and token.map:
            first = token.map[0] + (2 if token.type == "fence" else 1)
            for number, line_text in enumerate(token.content.splitlines(), first):
                yield Piece(number, re.sub(r"(^|\s)#.*", "", line_text), is_block=True)


def anchors(text: str) -> set[str]:
    """What a link's `#…` may name: headings as GitHub spells them, the second of two equal ones with `-1`."""
    found: set[str] = set()
    for opening, inline in pairwise(_markdown.parse(text)):
        if opening.type == "heading_open":
            words = "".join(child.content for child in inline.children or [])
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            found.add(
                next(name for n in range(len(found) + 1) if (name := f"{slug}-{n}" if n else slug) not in found)
            )
    return found


def broken_links(path: str, texts: Mapping[str, str]) -> Iterator[str]:
    """The links of one of the `texts` to a file, or to a heading of a document, that is not there."""
    for line, target, _ in links(texts[path]):
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            continue
        file = (
            posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(parts.path)))
            if parts.path
            else path
        )
        if not _exists(file, texts):
            yield f"{path}:{line}: the link {target} leads to no tracked file"
        elif parts.fragment and parts.fragment not in anchors(texts.get(file, "")):
            yield f"{path}:{line}: {file} has no heading for the link {target}"


def unknown_commands(path: str, text: str, known: Mapping[str, Collection[str]]) -> Iterator[str]:
    """The commands whose subcommand, or target of make, is not among the `known` ones of that program."""
    for piece in code(text):
        for program, rest in COMMAND.findall(piece.text):
            words = [word for word in rest.split() if "=" not in word and not word.startswith("-")]
            asked = words if program == "make" else words[:1]
            for word in asked:
                if word not in known[program.split()[-1]]:
                    yield f"{path}:{piece.line}: `{program}` has no `{word}`"


def unknown_files(path: str, text: str, files: Collection[str]) -> Iterator[str]:
    """What stands between backticks, looks like a file or folder of the repository, and is none.

    That is what begins with a folder at the top, or ends as files here do: the latter may be the end of a path.
    `…` and `*` stand for anything.
    """
    tops = {file.split("/")[0] for file in files if "/" in file}
    for piece in code(text):
        name = piece.text.removeprefix("./")
        if piece.is_block or not FILE.fullmatch(name):
            continue
        pattern = name.replace("…", "*").rstrip("/")
        if name.split("/")[0] in tops:
            found = any(fnmatchcase(file, pattern) or fnmatchcase(file, f"{pattern}/*") for file in files)
        elif name.endswith(SUFFIXES):
            found = any(fnmatchcase(file, pattern) or fnmatchcase(file, f"*/{pattern}") for file in files)
        else:
            continue
        if not found:
            yield f"{path}:{piece.line}: there is no tracked `{name}`"


def subcommands(source: str) -> set[str]:
    """The subcommands that a program's argparse knows, read from its source."""
    found: set[str] = set()
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        if call.func.attr == "add_parser":
            found.add(ast.literal_eval(call.args[0]))
        for keyword in call.keywords:
            if keyword.arg == "choices":
                found.update(ast.literal_eval(keyword.value))
    return found


def _inline(text: str) -> Iterator[tuple[int, Token]]:
    for token in _markdown.parse(text):
        for child in token.children or []:
            yield (token.map[0] + 1 if token.map else 1), child


def _exists(path: str, files: Collection[str]) -> bool:
    return path == "." or path in files or any(file.startswith(f"{path}/") for file in files)
