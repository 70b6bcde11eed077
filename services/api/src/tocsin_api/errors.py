"""ADAPTER. What the API says is wrong, and how it answers so: problem details (RFC 9457).

No answer holds a webhook URL, an API key, a query string or the inside of a failure.
"""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from tocsin_common.errors import TocsinError, UnavailableError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5  # PostgreSQL restarts within seconds
MAX_VIOLATIONS = 20  # a body may hold any number of unknown fields
MAX_ECHO = 15  # characters that an answer repeats of what a client sent: fewer than any secret has
CUT = 7  # characters that it repeats of what is longer
_ID = re.compile("[0-9a-fA-F-]{36}")

_log = structlog.get_logger(__name__)


class Violation(msgspec.Struct, frozen=True):
    """One thing that is wrong with one field, and what is allowed there."""

    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Every error's body."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    """The path that was asked for; what is too long in it for an id is cut."""
    status_code: int
    """The same as `status`."""
    message: str
    """The same as `detail`."""
    request_id: str
    """What the server's log calls this request; also in the header X-Request-ID."""
    errors: Sequence[Violation] = ()


class ProblemError(TocsinError):
    """An error that the client can act on; its text becomes the answer's `detail`."""

    status = 400
    headers: Mapping[str, str] = {}
    violations: Sequence[Violation] = ()


class InvalidValueError(TocsinError, ValueError):
    """A field's value is refused; the text says what was wrong and what is allowed."""


class InvalidBodyError(ProblemError):
    """The body as a whole cannot be read."""


class InvalidInputError(ProblemError):
    """Fields of a body, a query string or a path are refused, each with its reason."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        self.violations = violations[:MAX_VIOLATIONS]
        super().__init__("; ".join(f"{each.field}: {each.message}" for each in self.violations))


class UnauthorizedError(ProblemError):
    """No valid API key came with the request."""

    status = 401
    headers: Mapping[str, str] = {"WWW-Authenticate": 'ApiKey header="X-API-KEY"'}


class NotFoundError(ProblemError):
    """There is no such task."""

    status = 404


class UnsupportedMediaTypeError(ProblemError):
    """The body is no JSON by its Content-Type."""

    status = 415


def handlers() -> ExceptionHandlersMap:
    """What Litestar calls for each kind of error."""
    return {
        ProblemError: _refused,
        HTTPException: _http_error,
        UnavailableError: _unavailable,
        Exception: _failed,
    }


def _refused(request: Request[Any, Any, Any], error: ProblemError) -> Response[bytes]:
    return _answer(request, error.status, str(error), headers=error.headers, violations=error.violations)


def _http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Litestar's own errors: their text may echo the query string, so ours replaces it."""
    if error.status_code >= 500:
        return _failed(request, error)
    details = {
        404: "nothing is at this path",
        405: "the method is not allowed at this path; the header Allow lists those that are",
        413: "the body is larger than 1 MB",
    }
    detail = details.get(error.status_code, "the request cannot be read")
    return _answer(request, error.status_code, detail, headers=error.headers or {})


def _unavailable(request: Request[Any, Any, Any], error: UnavailableError) -> Response[bytes]:
    _log.warning("database.unavailable", error=str(error))
    return _answer(
        request,
        503,
        f"the database is away for now; try again in {RETRY_AFTER_S} s",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


def _failed(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    _log.error("request.failed", exc_info=error)
    return _answer(request, 500, "the server failed; its log tells more under this request's id")


def _answer(
    request: Request[Any, Any, Any],
    status: int,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    violations: Sequence[Violation] = (),
) -> Response[bytes]:
    problem = Problem(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=_shown(request.scope["path"]),
        status_code=status,
        message=detail,
        request_id=request.scope["state"].get("request_id", ""),
        errors=violations,
    )
    return Response(
        msgspec.json.encode(problem), status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {})
    )


def _shown(path: str) -> str:
    """Somebody may ask for a URL or a key by mistake: no secret is as short as what is shown of a segment."""
    return "/".join(
        segment if len(segment) <= MAX_ECHO or _ID.fullmatch(segment) else f"{segment[:CUT]}…"
        for segment in path.split("/")
    )
