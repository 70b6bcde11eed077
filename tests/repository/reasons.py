"""PURE. Whatever switches a check off says why, on its own line."""

import re
import tokenize
from collections.abc import Iterator
from io import StringIO

SWITCHES_OFF = re.compile(r"#\s*(?:(?:ruff|flake8):\s*)?noqa\b|#\s*(?:pragma|mypy|type):", re.IGNORECASE)
# mypy wants a second `#` where the others go on after a dash.
EXPLAINED = re.compile(
    r"# (?:ruff: )?noqa: [A-Z]+\d+(?:, [A-Z]+\d+)* - \w"
    r"|# (?:pragma|mypy): .+ - \w"
    r"|# type: ignore\[[\w, -]+\]  # \w"
)
SETTING = re.compile(
    r'^[^#]*(?:"[A-Z]+\d+"|"[\w.*]+ -> [\w.*]+"|"ignore:|\bignore_\w+ = true|\bdisable_error_code\b)', re.ASCII
)
SETTING_EXPLAINED = re.compile(r"#\s*\w[^\n]*$")


def unexplained_comments(path: str, source: str) -> Iterator[str]:
    """The comments that switch a check off for a line or a file, and do not say why."""
    for token in tokenize.generate_tokens(StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if SWITCHES_OFF.search(token.string) and not EXPLAINED.search(token.string):
            yield (
                f"{path}:{token.start[0]}: say why: `# noqa: CODE - reason`, `# type: ignore[code]  # reason`, "
                f"and ` - reason` after any other"
            )


def unexplained_settings(path: str, text: str) -> Iterator[str]:
    """The lines of a TOML file that switch a check off, and do not say why."""
    for number, line in enumerate(text.splitlines(), 1):
        if SETTING.search(line) and not SETTING_EXPLAINED.search(line):
            yield f"{path}:{number}: say why in a comment on this line"
