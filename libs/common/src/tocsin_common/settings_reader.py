"""ADAPTER. Settings, read once from the environment.

A field `database_url` is the variable `DATABASE_URL`. A field marked secret may instead be given as a file:
`DATABASE_URL_FILE` holds the path. An empty variable counts as not set.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta

from tocsin_common.errors import SettingsError
from tocsin_common.settings import DatabaseSettings, SenderSettings
from tocsin_common.settings_forms import check_list, check_url, contradictions, too_short_a_drain

S = TypeVar("S", bound=DatabaseSettings)

_TRUTHS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def load(kind: type[S], environ: Mapping[str, str]) -> S:
    """Read `kind` from `environ`; SettingsError lists everything that is wrong, each with its variable."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for field in msgspec.structs.fields(kind):
        variable = field.encode_name.upper()
        try:
            text = _read(variable, environ, secret=_is(field.type, "secret"))
            if text is not None:
                values[field.name] = _convert(text, field.type)
                check_url(variable, text)
                check_list(variable, text)
            elif field.required:
                problems.append(f"{variable} is not set and has no default")
            elif values.get("environment") == "production" and _is(field.type, "needed_in_production"):
                problems.append(f"{variable} is not set and has no default where ENVIRONMENT is production")
        except (msgspec.ValidationError, ValueError) as error:
            problems.append(f"{variable}: {error}")
    if not problems:
        problems = contradictions(values)
        if issubclass(kind, SenderSettings):  # the scheduler has a time of the same name, and posts nothing
            problems += too_short_a_drain(values)
    if problems:
        raise SettingsError("; ".join(problems))
    return kind(**values)


def _read(variable: str, environ: Mapping[str, str], *, secret: bool) -> str | None:
    path = environ.get(f"{variable}_FILE") if secret else None
    if path and environ.get(variable):
        raise ValueError(f"set either {variable} or {variable}_FILE, not both")
    if path:
        return _read_file(path) or None
    return environ.get(variable) or None


def _read_file(path: str) -> str:
    # No error repeats the path: whoever took the wrong variable wrote the secret itself there.
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"its file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("its file is not UTF-8") from None


def _convert(text: str, kind: Any) -> Any:
    # No error repeats the text: whoever took the wrong variable wrote a secret there.
    if kind is bool:
        if text.lower() not in _TRUTHS:
            raise ValueError(f"expected one of {', '.join(_TRUTHS)}")
        return _TRUTHS[text.lower()]
    if get_origin(kind) is Literal and text not in get_args(kind):
        raise ValueError(f"expected one of {', '.join(get_args(kind))}")
    return msgspec.convert(text, kind, strict=False)


def _is(kind: Any, what: str) -> bool:
    """Whether a field of this type is marked as `what`."""
    metas = [arg for arg in get_args(kind)[1:] if isinstance(arg, Meta)] if get_origin(kind) is Annotated else []
    return any((meta.extra or {}).get(what) for meta in metas)
