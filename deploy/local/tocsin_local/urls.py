"""PURE. Where the servers of a stack are."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StackUrls:
    """Where the servers are, with passwords. The management fields are empty where RABBITMQ_URL was given."""

    database_url: str
    rabbitmq_url: str
    management_url: str
    management_user: str
    management_password: str
    redis_url: str = ""
    """Empty where none was asked for."""
