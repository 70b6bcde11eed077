"""PURE. What a client may say about an API key, what answers show of one, and how a new one is made."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from tocsin_api.access import SCOPES, Scope
from tocsin_api.errors import InvalidValueError
from tocsin_api.inputs import Checks
from tocsin_api.moments import Aware
from tocsin_api.pages import PAGE_META, Limit, PageMeta, PageNumber
from tocsin_api.task_fields import Instant, Name
from tocsin_api.task_rules import check_instant, check_name

PREFIX = "tocsin_"  # by it a key is known where it was left lying about, and what cannot be one is not looked up
SECRET_BYTES = 32
HINT_LENGTH = 4  # of 43 characters: what is left cannot be guessed
EXAMPLE_ID = "01a209bf-cc04-7028-8e49-dbf8110cffff"
_KEY = re.compile(rb"tocsin_[A-Za-z0-9_-]{43}")

Purpose = Annotated[str, Meta(description="what it is for", examples=["deployments"])]
Scopes = Annotated[
    list[
        Annotated[
            Scope,
            Meta(
                title="Scope",
                description="what a key allows; each includes those before it",
                extra_json_schema={"type": "string"},
            ),
        ]
    ],
    Meta(
        min_length=1,
        max_length=len(SCOPES),
        description="a list of one or more of read, write (includes read) and admin (includes both)",
        examples=[["read"]],
        extra_json_schema={"uniqueItems": True},
    ),
]


class NewApiKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The body that makes an API key."""

    name: Name
    scopes: Scopes
    expires_at: Annotated[
        Instant | None,
        Meta(
            description="an RFC 3339 time with its offset: from then on it is refused; null: never",
            examples=["2030-01-31T00:00:00Z"],
        ),
    ] = None


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An API key, without what makes it one."""

    id: Annotated[UUID, Meta(description="what it is deleted by", examples=[EXAMPLE_ID])]
    name: Purpose
    hint: Annotated[str, Meta(description="how it begins and ends", examples=["tocsin_…x7Qd"])]
    scopes: Scopes
    created_at: Annotated[Aware, Meta(description="when it was made", examples=["2026-11-23T18:51:34.278296Z"])]
    expires_at: Annotated[
        Aware | None, Meta(description="from then on it is refused", examples=["2030-01-31T00:00:00Z"])
    ]
    last_used_at: Annotated[
        Aware | None,
        Meta(description="when it last came with a request, within a minute", examples=["2026-11-24T08:00:00Z"]),
    ]


class CreatedApiKey(ApiKey, frozen=True, kw_only=True, rename="camel"):
    """A new API key, with what no other answer shows."""

    key: Annotated[
        str, Meta(description="the key itself: it is shown this once", examples=[f"{PREFIX}{'x' * 39}x7Qd"])
    ]


class ApiKeyList(msgspec.Struct, frozen=True):
    """One page of API keys."""

    data: Annotated[list[ApiKey], Meta(description="those of the page")]
    meta: Annotated[PageMeta, PAGE_META]


class ApiKeyQuery(msgspec.Struct, frozen=True, rename="camel"):
    """What a list of API keys may be asked for."""

    page: PageNumber = 1
    limit: Limit = 20


def _check_scopes(scopes: list[Scope]) -> list[Scope]:
    if len(set(scopes)) < len(scopes):
        raise InvalidValueError("must have each scope once only")
    return sorted(scopes, key=SCOPES.index)


def _check_expiry(expires_at: datetime | None) -> datetime | None:
    return None if expires_at is None else check_instant(expires_at)


CHECKS: Checks = {"name": check_name, "scopes": _check_scopes, "expires_at": _check_expiry}


def looks_like_a_key(given: bytes) -> bool:
    """Whether it may be one of ours; what is not, nobody needs to look for."""
    return _KEY.fullmatch(given) is not None


def hint(key: str) -> str:
    """What tells a key from others and gives nothing away."""
    return f"{PREFIX}…{key[-HINT_LENGTH:]}"


def shown(row: Mapping[str, Any]) -> ApiKey:
    """The answer that a row comes to."""
    return ApiKey(**{name: row[name] for name in ApiKey.__struct_fields__})
