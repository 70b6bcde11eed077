"""ADAPTER. What detect-secrets takes for a secret."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import transient_settings

# These guess, from a variable's name or from randomness; the others know the forms of keys and tokens.
GUESSES: dict[str, dict[str, Any]] = {
    "Base64HighEntropyString": {"limit": 4.5},
    "HexHighEntropyString": {"limit": 3.0},
    "KeywordDetector": {},
}
LEFT_OUT = {
    "BasicAuthDetector",  # each database URL has a password; the rules of `leaks` let it name no real host
    "IPPublicDetector",  # the rules of `leaks` are stricter
}
# Nothing is asked of other hosts: detect-secrets would verify what it found there.
FILTERS = [{"path": "detect_secrets.filters.allowlist.is_line_allowlisted"}]


def secrets(path: Path, *, guess: bool) -> Iterator[tuple[int, str]]:
    """The line and the kind of everything that looks like a secret; `guess` finds more, and more that is none."""
    with transient_settings({"plugins_used": _plugins(guess), "filters_used": FILTERS}):
        for found in scan_file(str(path)):
            yield found.line_number, found.type


def _plugins(guess: bool) -> list[dict[str, Any]]:
    known = {kind.__name__ for kind in get_mapping_from_secret_type_to_class().values()}
    forms = known - LEFT_OUT - GUESSES.keys()
    return [{"name": name} for name in sorted(forms)] + [
        {"name": name, **options} for name, options in GUESSES.items() if guess
    ]
