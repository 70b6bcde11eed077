"""PURE. What no tracked file may hold: secrets, and names of people, machines and hosts."""

import ipaddress
import re
from collections.abc import Iterator

# Hosts that are not reserved for examples, each with the reason why it is named.
HOSTS = {
    "discord.com": "what Tocsin posts to",
    "discordapp.com": "its older name",
    "discord.gg": "Discord's, but no webhook lives there: a test",
    "discord.com.": "the same host to DNS, and refused: a test",
    "xdiscord.com": "a lookalike that must be refused: a test",
    "keepachangelog.com": "the format of CHANGELOG.md",
    "semver.org": "the meaning of its version numbers",
    "standard-webhooks.com": "the convention that a POST's headers follow",
    "kubernetes.io": "the beginning of its labels' names",
    "k8s.io": "the beginning of its kinds' names",
    "cert-manager.io": "an annotation of an ingress",
}
# Files that are about addresses: which ones the guarded client, or a sender's pod, may connect to.
ADDRESS_RULES = (
    "deploy/compose.prod.yaml",  # whose word about a client's address the API takes
    "deploy/kubernetes/base/network-policies.yaml",
    "libs/common/src/tocsin_common/http.py",
    "tests/integration/common/test_http.py",
    "tests/integration/dispatcher/hostile/test_addresses.py",
    "tests/unit/common/test_http.py",
    "tests/unit/common/test_webhook.py",
)

RESERVED_HOST = re.compile(r"(?:[\w-]+\.)*(?:example|invalid|localhost|test|example\.(?:com|net|org))")
URL_HOST = re.compile(r"[a-z]://(?:[^\s/@\"'`]*@)?([\w-]+(?:\.[\w-]+)+\.?)", re.IGNORECASE)
BARE_HOST = re.compile(r"(?<![\w\\.@-])((?:[a-z0-9-]+\.)+(?:com|io|net|org))\b(?!\()", re.IGNORECASE)
LOGIN = re.compile(r"://[^\s/@\"'`]*@")
EMAIL = re.compile(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)+)")
IPV4 = re.compile(r"(?<![\w.])(?<!==)\d{1,3}(?:\.\d{1,3}){3}(?![\w.])")
IPV6 = re.compile(r"(?<![\w:.])[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*(?![\w:])", re.IGNORECASE)
DOCUMENTATION = tuple(
    ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)
HOME = re.compile(r"(?<![\w.}~/])(?:/(?:home|mnt|root|tmp|Users|work|workspaces?)/[\w.]|[A-Z]:\\Users\\)")
WEBHOOK = re.compile(r"webhooks/\d{5,}/[\w-]{50,}")  # Discord's tokens have 68 characters


def leaks(path: str, text: str) -> Iterator[str]:
    """Everything in `text` that should not be there."""
    for number, line in enumerate(text.splitlines(), 1):
        for problem in [*_names(line), *([] if path in ADDRESS_RULES else _addresses(line))]:
            yield f"{path}:{number}: {problem}"


def _names(line: str) -> Iterator[str]:
    if WEBHOOK.search(line):
        yield "a webhook's URL with what looks like a real token: cut the token short"
    for host in sorted({*URL_HOST.findall(line), *BARE_HOST.findall(line)}):
        if not _may_name(host):
            yield f"the host {host}: take one that ends with .example, or give the reason in HOSTS of leaks.py"
    for host in EMAIL.findall(LOGIN.sub("://", line)):
        if not RESERVED_HOST.fullmatch(host.lower()):
            yield "an e-mail address: people are not named in files"
    if HOME.search(line):
        yield "a path of one machine: take one relative to the repository, or a setting"


def _may_name(host: str) -> bool:
    name = host.lower()
    known = any(name == each or name.endswith(f".{each}") for each in HOSTS)
    return known or bool(RESERVED_HOST.fullmatch(name)) or bool(IPV4.fullmatch(name))


def _addresses(line: str) -> Iterator[str]:
    for text in [*IPV4.findall(line), *IPV6.findall(line)]:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue  # a version, or a time of day
        if not (address.is_loopback or address.is_unspecified or any(address in net for net in DOCUMENTATION)):
            yield f"the address {text}: take one of 192.0.2.0/24 or 2001:db8::/32, which are for examples"
