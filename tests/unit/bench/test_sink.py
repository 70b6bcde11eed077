import ipaddress
import re
from pathlib import Path

from bench import sink


def test_addresses_are_different_ones_of_the_loopback_interface() -> None:
    found = sink.addresses(1000)

    assert len(set(found)) == 1000
    assert all(ipaddress.ip_address(address).is_loopback for address in found)
    assert (found[0], found[-1]) == ("127.1.0.1", "127.1.3.250")


def test_nginx_listens_on_each_address_and_nowhere_else() -> None:
    text = sink.configuration(Path("/bench/nginx"), sink.addresses(300), 20_123)

    listens = re.findall(r"\blisten (\S+)", text)

    assert listens == [f"{address}:20123" for address in sink.addresses(300)]


def test_nginx_writes_into_its_own_folder_alone() -> None:
    text = sink.configuration(Path("/bench/nginx"), ["127.1.0.1"], 20_123)

    paths = [path for path in re.findall(r"\s(/\S+?)[\s;]", text) if path != "/"]

    assert len(paths) == 7
    assert all(path.startswith("/bench/nginx/") for path in paths)
