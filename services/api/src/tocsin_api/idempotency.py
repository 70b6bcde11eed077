"""PURE. A request that may be sent again: what comes with its Idempotency-Key a second time is not done twice."""

import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from tocsin_api.errors import InvalidInputError, KeyReusedError, Violation

HEADER = "Idempotency-Key"
MAX_LENGTH = 255
ALLOWED = f"1 to {MAX_LENGTH} visible ASCII characters, or a quoted string of as many"

PATTERN = rf'^([!#-~][!-~]{{0,{MAX_LENGTH - 1}}}|"([ !#-\[\]-~]|\\["\\]){{1,{MAX_LENGTH}}}")$'

# As the header's draft standard asks for it, a string of structured fields (RFC 8941), or bare, as many send it.
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])+)"')
_BARE = re.compile(r"[!#-~][!-~]*")


class RequestKey(NamedTuple):
    """What tells a request that is repeated from another one."""

    scope: str
    """Keys of one scope are apart from those of another."""
    key: str
    """Its digest: what clients send as a key by mistake may be a secret."""
    request_hash: bytes


def read_key(headers: Sequence[str], scope: str, method: str, path: str, body: bytes) -> RequestKey | None:
    """The key that a request came with, from all headers of that name; raises InvalidInputError."""
    if not headers:
        return None
    if len(headers) > 1:
        raise InvalidInputError([Violation(HEADER, "must be given once only")])
    key = _unquoted(headers[0])
    if key is None or len(key) > MAX_LENGTH:
        raise InvalidInputError([Violation(HEADER, f"must be {ALLOWED}")])
    return RequestKey(scope, hashlib.sha256(key.encode()).hexdigest(), _digest(method, path, body))


def check_same_request(key: RequestKey, earlier_hash: bytes) -> None:
    """Raises KeyReusedError where the key came with another request before."""
    if key.request_hash != earlier_hash:
        raise KeyReusedError(f"this {HEADER} came with another request before: each request needs one of its own")


def _unquoted(header: str) -> str | None:
    """What stands in the header: quoted or not, it is one key. None where it is neither."""
    if quoted := _QUOTED.fullmatch(header):
        return re.sub(r"\\(.)", r"\1", quoted[1])
    return header if _BARE.fullmatch(header) else None


def _digest(method: str, path: str, body: bytes) -> bytes:
    # JSON says itself where it ends: no two requests run into each other.
    return hashlib.sha256(msgspec.json.encode([method, path]) + body).digest()
