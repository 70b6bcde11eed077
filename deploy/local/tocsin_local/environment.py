"""ADAPTER. The caller's environment, with what the file `.env` at the repository's top adds to it."""

import os
import re
from pathlib import Path

from tocsin_local.errors import StackError
from tocsin_local.instance import ROOT

# Of those that may be given as a file.
SECRETS = (
    "DATABASE_URL",
    "RABBITMQ_URL",
    "REDIS_URL",
    "API_KEY",
    "SEALING_KEYS",
)
LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")


def caller_environment(env_file: Path = ROOT / ".env") -> dict[str, str]:
    """Return the environment over what `.env` says. A variable that is set but empty counts as not set.

    What a secret's `_FILE` variable names is read into the secret itself. StackError if it cannot be.
    """
    of_file = parse_env(env_file.read_text()) if env_file.exists() else {}
    env = of_file | {name: value for name, value in os.environ.items() if value}
    for name in SECRETS:
        if path := env.pop(f"{name}_FILE", ""):
            try:
                env[name] = Path(path).read_text().strip()
            except OSError as error:
                raise StackError(f"{name}_FILE: {error}") from error
    return env


def parse_env(text: str) -> dict[str, str]:
    """Read KEY=VALUE lines; other lines are ignored.

    Quotes around a value are taken off; ` #` ends an unquoted one.
    """
    found = {}
    for line in text.splitlines():
        if match := LINE.fullmatch(line.strip()):
            name, value = match.groups()
            quoted = re.fullmatch(r"(['\"])(.*?)\1\s*(?:#.*)?", value)
            found[name] = quoted[2] if quoted else re.split(r"(?:^|\s)#", value)[0].strip()
    return {name: value for name, value in found.items() if value}
