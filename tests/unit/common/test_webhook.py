"""Which webhook URLs are accepted, what limits hold for, and what people are shown."""

import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin_common.errors import InvalidWebhookUrlError, TocsinError
from tocsin_common.webhook import (
    DISCORD_HOSTS,
    MAX_URL_LENGTH,
    is_at_discord,
    is_discords,
    parse,
    speaks_discord,
    with_components,
    with_wait,
)

ID = "1234567890123456789"
TOKEN = "tOkEn_of-68_characters"  # noqa: S105 - nobody's
DISCORD = f"https://discord.com/api/webhooks/{ID}/{TOKEN}"
HOSTS = frozenset({"hooks.example.com", "127.0.0.2"})
ORIGIN = "https://hooks.example.com"
MASKED_PATH = f"/api/webhooks/{ID}/…ters"


@pytest.mark.parametrize("host", sorted(DISCORD_HOSTS))
@pytest.mark.parametrize(
    ("version", "end"), [("", ""), ("/v9", "/"), ("/v10", "?thread_id=7"), ("", "/?wait=true")]
)
def test_every_form_of_a_discord_webhook_is_accepted(host, version, end):
    webhook = parse(f"https://{host}/api{version}/webhooks/{ID}/{TOKEN}{end}")

    assert webhook.url == f"https://{host}/api{version}/webhooks/{ID}/{TOKEN}{end}"
    assert webhook.is_discord


@pytest.mark.parametrize("host", sorted(DISCORD_HOSTS))
@pytest.mark.parametrize("version", ["", "/v10"])
def test_a_discord_webhook_is_one_destination_by_whichever_name(host, version):
    assert parse(f"https://{host}/api{version}/webhooks/{ID}/{TOKEN}").destination == f"discord.com/{ID}"


@pytest.mark.parametrize(
    ("url", "destination", "masked", "is_discord"),
    [
        (DISCORD, f"discord.com/{ID}", f"https://discord.com{MASKED_PATH}", True),
        (f"{DISCORD}?thread_id=7", f"discord.com/{ID}", f"https://discord.com{MASKED_PATH}", True),
        (DISCORD.replace("discord", "DISCORD"), f"discord.com/{ID}", f"https://discord.com{MASKED_PATH}", True),
        (DISCORD.replace(".com", ".com:443"), f"discord.com/{ID}", f"https://discord.com{MASKED_PATH}", True),
        (
            f"https://ptb.discord.com/api/v10/webhooks/{ID}/{TOKEN}/",
            f"discord.com/{ID}",
            f"https://ptb.discord.com{MASKED_PATH}",
            True,
        ),
        ("https://hooks.example.com/in/secret", ORIGIN, f"{ORIGIN}/…cret", False),
        ("https://Hooks.Example.com/a?k=secret", ORIGIN, f"{ORIGIN}/…cret", False),
        ("https://hooks.example.com:443/secret", ORIGIN, f"{ORIGIN}/…cret", False),
        ("https://hooks.example.com:/secret", ORIGIN, f"{ORIGIN}/…cret", False),
        (
            f"https://hooks.example.com/api/webhooks/{ID}/{TOKEN}",
            f"https://hooks.example.com/{ID}",
            f"https://hooks.example.com{MASKED_PATH}",
            True,
        ),
    ],
)
def test_a_url_gives_its_destination_and_its_masked_form(url, destination, masked, is_discord):
    assert parse(url, allowed_hosts=HOSTS) == (url, destination, masked, is_discord)
    assert speaks_discord(masked) is is_discord


@pytest.mark.parametrize(
    ("url", "destination"),
    [
        (f"http://127.0.0.1:8080/api/webhooks/{ID}/{TOKEN}", f"http://127.0.0.1:8080/{ID}"),
        (f"http://127.0.0.1:80/api/webhooks/{ID}/{TOKEN}", f"http://127.0.0.1/{ID}"),
        (f"http://127.8.9.10:8080/api/webhooks/{ID}/{TOKEN}", f"http://127.8.9.10:8080/{ID}"),
        (f"HTTP://LocalHost:8080/api/v10/webhooks/{ID}/{TOKEN}", f"http://localhost:8080/{ID}"),
        (f"http://[::1]:8080/api/webhooks/{ID}/{TOKEN}", f"http://[::1]:8080/{ID}"),
        ("https://localhost:8443/hook/secret", "https://localhost:8443"),
        ("http://[::1]/hook/secret", "http://[::1]"),
    ],
)
def test_loopback_is_accepted_where_local_webhooks_are_allowed_and_only_there(url, destination):
    assert parse(url, allow_local=True).destination == destination

    with pytest.raises(InvalidWebhookUrlError):
        parse(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "must begin with https://"),
        ("discord.com/api/webhooks/1/secretsecret", "must begin with https://"),
        (DISCORD.replace("https", "http"), "must begin with https://"),
        (DISCORD.replace("https", "ftp"), "must begin with https://"),
        (DISCORD.replace("https:", ""), "must begin with https://"),
        ("javascript:secretsecret", "must begin with https://"),
        (DISCORD.replace(".com", ".com:8443"), "must not name a port other than 443"),
        (DISCORD.replace(".com", ".com:80"), "must not name a port other than 443"),
        (DISCORD.replace(".com", ".com:0"), "must not name a port other than 443"),
        ("https://hooks.example.com:8443/secretsecret", "must not name a port other than 443"),
        (DISCORD.replace(".com", ".com:secretsecret"), "is not a URL"),
        (DISCORD.replace(".com", ".com:99999"), "is not a URL"),
        ("https://[secretsecret/api/webhooks/1/2", "is not a URL"),
        ("https://[secret]secret/api/webhooks/1/2", "is not a URL"),
        (DISCORD.replace("//", "//user:secretsecret@"), "must not hold a user name or password"),
        (DISCORD.replace("//", "//secretsecret@"), "must not hold a user name or password"),
        (DISCORD.replace("//", "//@"), "must not hold a user name or password"),
        (f"https://discord.com@evil.example/api/webhooks/{ID}/{TOKEN}", "must not hold a user name or password"),
        (f"{DISCORD}#secretsecret", "must not hold a fragment (#…)"),
        (f"{DISCORD} ", "must be printable ASCII without spaces or backslashes"),
        (f" {DISCORD}", "must be printable ASCII without spaces or backslashes"),
        (DISCORD.replace("//", "/\t/"), "must be printable ASCII without spaces or backslashes"),
        (f"{DISCORD}\n", "must be printable ASCII without spaces or backslashes"),
        (f"{DISCORD}\x00", "must be printable ASCII without spaces or backslashes"),
        (f"{DISCORD}\x7f", "must be printable ASCII without spaces or backslashes"),
        (f"{DISCORD}ü", "must be printable ASCII without spaces or backslashes"),
        (
            DISCORD.replace("discord.com", "d\u0131scord.com"),
            "must be printable ASCII without spaces or backslashes",
        ),
        (f"https://discord.com\\@evil.example/{TOKEN}", "must be printable ASCII without spaces or backslashes"),
        (DISCORD + "a" * MAX_URL_LENGTH, f"has {len(DISCORD) + 2048} characters, at most 2048 are allowed"),
    ],
)
def test_a_malformed_url_is_refused_with_the_rule_it_breaks(url, reason):
    with pytest.raises(InvalidWebhookUrlError) as caught:
        parse(url, allowed_hosts=HOSTS)

    assert str(caught.value) == reason


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/api/webhooks/1/secretsecret",
        "https://discord.com.evil.example/api/webhooks/1/secretsecret",
        "https://xdiscord.com/api/webhooks/1/secretsecret",
        "https://api.discord.com/api/webhooks/1/secretsecret",
        "https://discord.com./api/webhooks/1/secretsecret",
        "https://discord.gg/api/webhooks/1/secretsecret",
        "https://sub.hooks.example.com/secretsecret",
        "https:///api/webhooks/1/secretsecret",
        "https://127.0.0.1/api/webhooks/1/secretsecret",
        "https://localhost/api/webhooks/1/secretsecret",
        "https://[::1]/api/webhooks/1/secretsecret",
        "https://169.254.169.254/secretsecret",
    ],
)
def test_another_host_is_refused_with_those_that_are_allowed(url):
    with pytest.raises(InvalidWebhookUrlError) as caught:
        parse(url, allowed_hosts={"hooks.example.com"})

    assert str(caught.value) == (
        "its host is not allowed; allowed are canary.discord.com, discord.com, discordapp.com, hooks.example.com, "
        "ptb.discord.com"
    )


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "192.168.0.1", "169.254.0.1", "example.com", "localhost.example.com"]
)
def test_allowing_local_webhooks_allows_loopback_alone(host):
    with pytest.raises(InvalidWebhookUrlError, match="must begin with https://"):
        parse(f"http://{host}:8080/secretsecret", allow_local=True)


def test_an_allowed_host_is_still_https_only_where_local_webhooks_are_allowed():
    with pytest.raises(InvalidWebhookUrlError, match="must begin with https://"):
        parse("http://hooks.example.com/secretsecret", allowed_hosts=HOSTS, allow_local=True)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/api/webhooks",
        f"/api/webhooks/{ID}",
        f"/api/webhooks/{ID}/",
        f"/api/webhooks/name/{TOKEN}",
        f"/api/webhooks/{'1' * 21}/{TOKEN}",
        f"/api/v/webhooks/{ID}/{TOKEN}",
        f"/api/v100/webhooks/{ID}/{TOKEN}",
        f"/api/webhooks/{ID}/{TOKEN}/slack",
        f"/api/webhooks/{ID}/{TOKEN}/github",
        f"/api/webhooks/{ID}/{TOKEN}/messages/1",
        f"/api/webhooks/{ID}/%2e%2e%2f{TOKEN}",
        f"/api/webhooks/{ID}/../{TOKEN}",
        f"//api/webhooks/{ID}/{TOKEN}",
        f"/API/webhooks/{ID}/{TOKEN}",
        f"/webhooks/{ID}/{TOKEN}",
    ],
)
def test_another_path_on_discord_is_refused_with_the_form_it_must_have(path):
    with pytest.raises(InvalidWebhookUrlError) as caught:
        parse(f"https://discord.com{path}")

    assert str(caught.value) == "must have the form https://discord.com/api/webhooks/<id>/<token>"


def test_a_refusal_is_an_error_of_tocsin_and_a_value_error():
    assert issubclass(InvalidWebhookUrlError, TocsinError)
    assert issubclass(InvalidWebhookUrlError, ValueError)


tokens = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", min_size=12, max_size=68)
frames = st.sampled_from(
    [
        "https://discord.com/api/webhooks/123/{}/messages",
        "https://discord.com/{}",
        "https://discord.com:{}/api/webhooks/1/2",
        "https://{}/api/webhooks/1/2",
        "https://{}:secret@discord.com/api/webhooks/1/2",
        "https://[{}/api/webhooks/1/2",
        "https://[::1{}]/api/webhooks/1/2",
        "http://discord.com/api/webhooks/123/{}",
        "https://discord.com/api/webhooks/123/{}#{}",
        "https://discord.com/api/webhooks/123/{} ",
        "https://discord.com/api/webhooks/123/{}\u2100",
        "https://evil.example/{}?{}",
        "{}",
        "{}://discord.com",
    ]
)


@settings(deadline=None)
@given(frames, tokens)
def test_no_error_repeats_the_url_or_its_token_nor_does_its_traceback(frame, token):
    url = frame.replace("{}", token)

    with pytest.raises(InvalidWebhookUrlError) as caught:
        parse(url, allowed_hosts=HOSTS)

    told = "".join(traceback.format_exception_only(caught.value))
    causes = "".join(str(error) for error in (caught.value.__cause__,) if error is not None)
    assert token not in told + causes
    assert token.lower() not in (told + causes).lower()


@settings(deadline=None)
@given(
    st.text(max_size=60) | st.text("https:/@[]#?\\.discord com0123456789%", max_size=60).map("https://{}".format)
)
def test_whatever_is_sent_is_accepted_or_refused_and_nothing_else(url):
    try:
        webhook = parse(url, allowed_hosts=HOSTS, allow_local=True)
    except InvalidWebhookUrlError as error:
        assert str(error)  # noqa: PT017 - either way is right
    else:
        assert webhook.url == url


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(DISCORD_HOSTS | HOSTS)), st.integers(1, 10**19), tokens)
def test_neither_the_masked_form_nor_the_destination_tells_the_token(host, webhook_id, token):
    webhook = parse(f"https://{host}/api/webhooks/{webhook_id}/{token}", allowed_hosts=HOSTS)

    assert webhook.masked == f"https://{host}/api/webhooks/{webhook_id}/…{token[-4:]}"
    assert webhook.destination in (f"discord.com/{webhook_id}", f"https://{host}/{webhook_id}")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "?wait=true"),
        ("?", "?wait=true"),
        ("?wait=true", "?wait=true"),
        ("?wait=false", "?wait=true"),
        ("?wait=false&wait=no", "?wait=true"),
        ("?thread_id=7", "?thread_id=7&wait=true"),
        ("?wait=false&thread_id=7", "?thread_id=7&wait=true"),
        ("?thread_id=7&with_components=true", "?thread_id=7&with_components=true&wait=true"),
        ("?thread_id=", "?thread_id=&wait=true"),
        ("?thread_name=a%20b%26c", "?thread_name=a+b%26c&wait=true"),
    ],
)
def test_discord_is_asked_to_wait_and_the_rest_of_the_query_stays(query, expected):
    assert with_wait(parse(DISCORD + query)) == DISCORD + expected


def test_other_receivers_are_posted_to_as_they_were_given():
    url = "https://hooks.example.com/in/secret?wait=false&signature=a%20b"

    assert with_wait(parse(url, allowed_hosts=HOSTS)) == url


@pytest.mark.parametrize(
    "path", ["/webhooks/", "/api/webhooks", "/x/api/webhooks/1/a", "/?api/webhooks/", "/api/webhooks/1/abc/slack"]
)
def test_no_other_url_is_shown_as_one_that_speaks_discord(path):
    webhook = parse(f"{ORIGIN}{path}", allowed_hosts=HOSTS)

    assert not webhook.is_discord
    assert not speaks_discord(webhook.masked)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "?with_components=true"),
        ("?thread_id=7", "?thread_id=7&with_components=true"),
        ("?with_components=true", "?with_components=true"),
        ("?with_components=false&thread_id=7", "?with_components=false&thread_id=7"),
        ("?with_components=", "?with_components="),
    ],
)
def test_discord_is_asked_for_components_unless_the_url_says_whether(query, expected):
    webhook = parse(DISCORD + query)

    asked = with_components(webhook)

    assert asked == webhook._replace(url=DISCORD + expected)


@pytest.mark.parametrize(
    ("destination", "speaks_it", "is_there"),
    [
        ("discord.com/123", True, True),
        ("http://127.0.0.1:8080/123", True, False),
        ("https://hooks.example.org", False, False),
        ("https://hooks.example.org:8443", False, False),
        ("discord.com.example.org/123", False, False),
    ],
)
def test_a_destination_says_whether_discord_or_a_stand_in_is_there(
    destination: str, speaks_it: bool, is_there: bool
):
    assert is_discords(destination) is speaks_it
    assert is_at_discord(destination) is is_there
