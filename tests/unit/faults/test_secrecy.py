"""A canary that is planted in what a run left to be seen is found."""

import secrets

import pytest

from canary import SPELLINGS
from faults.matrix import secrecy
from tocsin_local.urls import StackUrls

CANARY = secrets.token_urlsafe(51)
PASSWORDS = secrets.token_hex(16), secrets.token_hex(16)
SERVERS = StackUrls(
    database_url=f"postgresql://tocsin:{PASSWORDS[0]}@localhost/tocsin",
    rabbitmq_url=f"amqp://tocsin:{PASSWORDS[1]}@localhost/",
    management_url="",
    management_user="",
    management_password="",
)
SECRETS = secrecy.hidden(
    [CANARY], {"API_KEY": "an-api-key-of-the-run", "SEALING_KEYS": "c2VhbGluZyBrZXk="}, SERVERS
)


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_a_token_in_a_log_is_found(spelling: str):
    log = f'{{"event": "attempt.finished", "error": "{SPELLINGS[spelling](f"https://host/{CANARY}")}"}}'

    [found] = await secrecy.problems(SECRETS, {"output of the sender": log, "tables": "tasks {}"})

    assert found.startswith("I4: output of the sender: the token of a webhook")


@pytest.mark.parametrize("text", [*PASSWORDS, "an-api-key-of-the-run"], ids=["postgres", "rabbitmq", "api"])
async def test_passwords_and_keys_are_found(text: str):
    assert await secrecy.problems(SECRETS, {"tables": f"before {text} after"})


async def test_nothing_is_found_where_nothing_is():
    assert await secrecy.problems(SECRETS, {"tables": f"https://discord.com/api/webhooks/1/…{CANARY[-4:]}"}) == []


def test_a_place_of_which_nothing_was_seen_is_told():
    assert secrecy.unseen({"tables": "tasks {}", "metrics": ""}) == ["I4: nothing was seen of metrics"]
