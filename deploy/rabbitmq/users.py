#!/usr/bin/env python3
"""SHELL. Makes RabbitMQ's users for Tocsin's services, with the rights in definitions.json. Needs Python alone.

Settings, from the environment; a password may instead be given as a file, e.g. API_PASSWORD_FILE:

    API_PASSWORD, SCHEDULER_PASSWORD, SENDER_PASSWORD
    VHOST            the virtual host that Tocsin uses, / where it is not set
    MANAGEMENT_URL   http://host:15672 of the management console; without it the definitions are printed, for
                     RabbitMQ's setting `load_definitions` or `rabbitmqctl import_definitions`
    ADMIN_USER, ADMIN_PASSWORD   of the console

It may be run again at any time, for instance to change passwords.
"""

import base64
import hashlib
import json
import os
import secrets
import sys
import urllib.error
import urllib.request
from pathlib import Path

SERVICES = ("api", "scheduler", "sender")
DEFINITIONS = Path(__file__).parent / "definitions.json"
TIMEOUT_S = 30


def main() -> int:
    """Make the users, or print what makes them."""
    try:
        definitions = _definitions()
        url = os.environ.get("MANAGEMENT_URL")
        if not url:
            print(json.dumps(definitions, indent=2))
            return 0
        _import(url, definitions)
    except (LookupError, OSError) as error:
        print(f"users.py: {error}", file=sys.stderr)
        return 1
    print(f"RabbitMQ has the users {', '.join(user['name'] for user in definitions['users'])}.")
    return 0


def _definitions() -> dict[str, list[dict[str, str]]]:
    definitions: dict[str, list[dict[str, str]]] = json.loads(DEFINITIONS.read_text())
    vhost = os.environ.get("VHOST", "/")
    for entry in definitions["permissions"]:
        entry["vhost"] = vhost
    users = [_user(f"tocsin-{name}", _secret(f"{name.upper()}_PASSWORD")) for name in SERVICES]
    return {"users": users, **definitions, "vhosts": [{"name": vhost}]}


def _user(name: str, password: str) -> dict[str, str]:
    """As RabbitMQ keeps a password: a salt of four bytes, and the hash of both."""
    salt = secrets.token_bytes(4)
    hashed = base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
    return {
        "name": name,
        "password_hash": hashed,
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": "",
    }


def _secret(name: str) -> str:
    path = os.environ.get(f"{name}_FILE")
    value = Path(path).read_text().strip() if path else os.environ.get(name)
    if not value:
        raise LookupError(f"{name} is not set")
    return value


def _import(url: str, definitions: dict[str, list[dict[str, str]]]) -> None:
    login = base64.b64encode(f"{_secret('ADMIN_USER')}:{_secret('ADMIN_PASSWORD')}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310 - the console's own URL, which an operator gave
        f"{url}/api/definitions",
        data=json.dumps(definitions).encode(),
        headers={"Authorization": f"Basic {login}", "Content-Type": "application/json"},
        method="POST",
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    direct.open(request, timeout=TIMEOUT_S).close()


if __name__ == "__main__":
    sys.exit(main())
