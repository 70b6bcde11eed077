"""No receiver can make Tocsin show the secret that it was called by, in whatever spelling it repeats it."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from canary import SPELLINGS, Search, Secret
from tocsin_common import webhook
from tocsin_dispatcher.sender.echo import hide, secrets_of

TOKEN = "kT7-vR2_mW9xQ4zL8nB3cF6hJ1dG5sA0pY-eU_iO2wXrNtVqZbMlKjHg4f7D9s3a1Q"  # noqa: S105 - nobody's
URL = f"https://discord.com/api/webhooks/123456789012345678/{TOKEN}"
SEARCH = Search([Secret("token", TOKEN)])


def hidden(text: str, url: str = URL) -> str:
    return hide(text, secrets_of(webhook.parse(url, allowed_hosts=["hooks.example.com"])))


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("repeated", [TOKEN, URL, f"{URL}?wait=true"], ids=["token", "URL", "URL with query"])
def test_a_secret_is_hidden_in_every_spelling(spelling: str, repeated: str):
    text = f"HTTP 400: Cannot POST {SPELLINGS[spelling](repeated)} here"

    shown = hidden(text)

    assert SEARCH.find(text) != []
    assert SEARCH.find(shown) == []
    assert shown.startswith("HTTP 400: Cannot POST ")
    assert shown.endswith(" here")


@pytest.mark.parametrize("cut", [10, 20, 30, 50, 67])
def test_what_a_cut_left_of_a_secret_is_hidden(cut: int):
    assert hidden(f"HTTP 500: at {TOKEN[:cut]}") == "HTTP 500: at …"
    assert hidden(f"{TOKEN[-cut:]} is wrong") == "… is wrong"


@pytest.mark.parametrize(
    "url",
    [
        f"{URL}?thread_id=123456789012345678",
        f"https://discord.com/api/v10/webhooks/1/{TOKEN}/?wait=true",
        f"https://hooks.example.com/services/T0/{TOKEN}",
        f"https://hooks.example.com/{TOKEN}/incoming?format=json",
        f"https://hooks.example.com/in?token={TOKEN}&color=red",
        f"https://hooks.example.com/in?{TOKEN}",
        f"https://hooks.example.com/%6B{TOKEN[1:]}",
    ],
)
def test_a_secret_is_hidden_wherever_it_stands_in_the_url(url: str):
    shown = hidden(f"HTTP 404: nothing at {url}, {TOKEN}", url)

    assert SEARCH.find(shown) == []
    assert shown.startswith("HTTP 404: nothing at https://")


def test_a_short_secret_is_hidden_as_a_whole():
    url = "https://hooks.example.com/hook/a1b2c"

    assert hidden("HTTP 500: a1b2c failed, A1B2C too", url) == "HTTP 500: … failed, … too"
    assert hidden("HTTP 500: no webhook here", url) == "HTTP 500: no webhook here"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "HTTP 204",
        "HTTP 200, message 123456789012345678",
        "HTTP 404: Unknown Webhook (code 10015)",
        "HTTP 400: Invalid Form Body (code 50035)",
        "HTTP 404: /api/webhooks/123456789012345678 in thread 123456789012345678",
        f"HTTP 500: it ends with {TOKEN[-4:]}",
        "no answer within 10 s",
    ],
)
def test_what_is_no_secret_stays(text: str):
    assert hidden(text, f"{URL}?thread_id=123456789012345678") == text


@given(st.text(), st.text(st.characters(exclude_categories=[]), max_size=300))
def test_any_text_can_be_looked_through(before: str, after: str):
    assert SEARCH.find(hidden(f"{before}{TOKEN}{after}")) == []


@given(st.text(st.characters(exclude_categories=[])))
def test_a_text_without_a_secret_stays_as_it_is(text: str):
    assume(not SEARCH.find(text))

    assert hidden(text) == text
