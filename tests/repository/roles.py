"""PURE. What a module's docstring says that the module is.

PURE modules decide: they take values (the time too) and return values. ADAPTER modules speak to one thing outside,
such as a server, a file or a clock. SHELL modules act: they wire the others together, wait, loop and log.
"""

import ast
from collections.abc import Collection, Iterator

ROLES = ("PURE", "SHELL", "ADAPTER")
MIGRATIONS = "/migrations/versions/"  # made from a template: all are the same


def role(source: str) -> str | None:
    """The word that a module's docstring begins with."""
    word, dot, _ = (ast.get_docstring(ast.parse(source)) or "").partition(". ")
    return word if dot and word in ROLES else None


def missing_role(path: str, source: str) -> Iterator[str]:
    """A module that defines a function says its role; one of plain data need not."""
    functions = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    if functions and role(source) is None and MIGRATIONS not in path:
        yield f"{path}:1: the docstring of a module with functions begins with `PURE. `, `SHELL. ` or `ADAPTER. `"


def module_name(path: str) -> str:
    """`libs/common/src/tocsin_common/log.py` → `tocsin_common.log`"""
    parts = path.removesuffix(".py").removesuffix("/__init__").split("/")
    return ".".join(parts[next(n for n, part in enumerate(parts) if part.startswith("tocsin_")) :])


def contract_differences(pure: Collection[str], listed: Collection[str]) -> Iterator[str]:
    """Where the docstrings and the contract's list in pyproject.toml differ."""
    for name in sorted(set(pure) - set(listed)):
        yield f"{name} says PURE, but the contract for PURE modules in pyproject.toml does not list it"
    for name in sorted(set(listed) - set(pure)):
        yield f"{name} is listed in the contract for PURE modules in pyproject.toml, but does not say PURE"
