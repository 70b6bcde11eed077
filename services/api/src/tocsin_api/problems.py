"""ADAPTER. How the API answers with what is wrong: problem details (RFC 9457).

No answer holds a webhook URL, an API key, a query string or the inside of a failure.
"""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap, Receive, Scope, Send
from msgspec import Meta

from tocsin_api.errors import CUT, NoPartitionError, ProblemError, Violation
from tocsin_common.errors import MAX_ECHO, UnavailableError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5  # PostgreSQL restarts within seconds
WENT_AWAY = "client disconnected prematurely"  # Litestar's words, which has no class of its own for that
_ID = re.compile("[0-9a-fA-F-]{36}")

_log = structlog.get_logger(__name__)


class Problem(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Every error's body."""

    type: Annotated[str, Meta(description="about:blank: the status says what kind of problem it is")]
    title: Annotated[str, Meta(description="the status in words")]
    status: Annotated[int, Meta(description="the HTTP status")]
    detail: Annotated[str, Meta(description="what is wrong, for people")]
    instance: Annotated[str, Meta(description="the path; what is too long in it for an id is cut")]
    status_code: Annotated[int, Meta(description="the same as status")]
    message: Annotated[str, Meta(description="the same as detail")]
    request_id: Annotated[str, Meta(description="what the server's log calls it; also in X-Request-ID")]
    errors: Annotated[Sequence[Violation], Meta(description="each field that is refused")] = ()


def handlers() -> ExceptionHandlersMap:
    """What Litestar calls for each kind of error."""
    return {
        ProblemError: _refused,
        HTTPException: _http_error,
        UnavailableError: _unavailable,
        NoPartitionError: _no_partition,
        Exception: _failed,
    }


async def refuse(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with an error that came about outside of Litestar, as it would."""
    request: Request[Any, Any, Any] = Request(scope, receive, send)
    known = handlers()
    kind = next(kind for kind in type(error).__mro__ if kind in known)
    answer = known[kind](request, error)
    await answer.to_asgi_response(app=None, request=request)(scope, receive, send)


def _refused(request: Request[Any, Any, Any], error: ProblemError) -> Response[bytes]:
    return _answer(request, error.status, str(error), headers=error.headers, violations=error.violations)


def _http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Litestar's own errors: their text may echo the query string, so ours replaces it."""
    if error.detail == WENT_AWAY:  # nobody reads this answer; what is counted and logged is no failure of ours
        return _answer(request, 400, "the body did not come to its end")
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
    return _try_again(request, "the database does not answer for now")


def _no_partition(request: Request[Any, Any, Any], error: NoPartitionError) -> Response[bytes]:
    _log.warning("partition.missing", error=str(error))
    return _try_again(request, str(error))


def _try_again(request: Request[Any, Any, Any], why: str) -> Response[bytes]:
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return _answer(request, 503, f"{why}; try again in {RETRY_AFTER_S} s", headers=headers)


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
