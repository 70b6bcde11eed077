"""PURE. What the API says is wrong: the errors that a client can act on.

No text of theirs holds a webhook URL, an API key, a query string or the inside of a failure.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from tocsin_api.access import BEARER, CHALLENGE, HEADER, Scope
from tocsin_common.errors import TocsinError, UnavailableError

MAX_VIOLATIONS = 50  # a body may hold any number of unknown fields, a payload some hundred mistakes
CUT = 7  # characters that it repeats of what is longer


class Violation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong with one field, and what is allowed there."""

    field: Annotated[str, Meta(description="its name, or the way to it: filter.reason, payload/embeds/0/title")]
    message: Annotated[str, Meta(description="what is wrong with it, and what is allowed")]
    pointer: Annotated[str | None, Meta(description="where in the body it is: a JSON pointer (RFC 6901)")] = None
    """Of one that is not known and has a long name, which may be a secret: where the object is that holds it."""


def in_body(violations: Iterable[Violation]) -> list[Violation]:
    """The same, of fields of the body whose names need no escaping: those without a pointer get theirs."""
    return [
        each if each.pointer is not None else msgspec.structs.replace(each, pointer=f"/{each.field}")
        for each in violations
    ]


class ProblemError(TocsinError):
    """An error that the client can act on; its text becomes the answer's `detail`."""

    status = 400
    headers: Mapping[str, str] = {}
    violations: Sequence[Violation] = ()


class InvalidValueError(TocsinError, ValueError):
    """A field's value is refused; the text says what was wrong and what is allowed."""


class NoPartitionError(UnavailableError):
    """PostgreSQL is there, but has no partition for today's executions yet."""


class InvalidBodyError(ProblemError):
    """The body as a whole cannot be read."""


class InvalidQueryError(ProblemError):
    """The query string as a whole cannot be read."""


class BodyTooLargeError(ProblemError):
    """The body is longer than any may be."""

    status = 413


class InvalidInputError(ProblemError):
    """Fields of a body, a query string or a path are refused, each with its reason."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        self.violations = violations[:MAX_VIOLATIONS]
        told = [f"{each.field}: {each.message}" for each in self.violations]
        if len(violations) > MAX_VIOLATIONS:
            told.append(f"and {len(violations) - MAX_VIOLATIONS} more")
        super().__init__("; ".join(told))


class UnauthorizedError(ProblemError):
    """No valid API key came with the request, or more than one did."""

    status = 401

    def __init__(self, *, keys_given: int) -> None:
        known = {
            0: f"send an API key in the header {HEADER}, or as {BEARER}: Bearer",
            1: f"the API key in the header {HEADER}, or {BEARER}, is not valid: it is wrong, or has ended",
        }
        error = ', error="invalid_token"' if keys_given else ""
        self.headers = {"WWW-Authenticate": f'{CHALLENGE}{error}, ApiKey header="{HEADER}"'}
        super().__init__(known.get(keys_given, f"{HEADER} and {BEARER} hold different API keys: send one"))


class ForbiddenError(ProblemError):
    """The API key is valid, and not for this."""

    status = 403

    def __init__(self, wanted: Scope) -> None:
        self.headers = {"WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope", scope="{wanted}"'}
        super().__init__(f"this needs an API key with the scope {wanted}")


class NotFoundError(ProblemError):
    """There is no such task."""

    status = 404


class ConflictError(ProblemError):
    """What is asked for does not go with how the task is now."""

    status = 409


class ChangedMeanwhileError(ProblemError):
    """The task is not any more as the client has seen it."""

    status = 412

    def __init__(self, etag: str) -> None:
        self.headers = {"ETag": etag}
        super().__init__(f"the task was changed meanwhile: its ETag is {etag}; read it anew")


class KeyReusedError(ProblemError):
    """The Idempotency-Key came with another request before."""

    status = 422


class TooManyRequestsError(ProblemError):
    """The client's limit for this minute is used up; the headers say when to try again."""

    status = 429

    def __init__(self, message: str, headers: Mapping[str, str]) -> None:
        self.headers = headers
        super().__init__(message)


class TooBusyError(ProblemError):
    """It can be done, but not now: nothing was written."""

    status = 503

    def __init__(self, why: str, *, retry_after_s: int = 5) -> None:
        self.headers = {"Retry-After": str(retry_after_s)}
        super().__init__(f"{why}; try again in {retry_after_s} s")


class UnsupportedMediaTypeError(ProblemError):
    """The body is no JSON by its Content-Type."""

    status = 415
