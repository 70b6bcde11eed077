"""What nodes of a cluster are given. That three of them work, the fault matrix shows: it has the time for it."""

import re
from pathlib import Path

import pytest

from tocsin_common.settings_forms import rabbitmq_nodes
from tocsin_local.cluster import Cluster, gaps_of
from tocsin_local.instance import Instance
from tocsin_local.stack import Stack

QUEUE = {"name": "q", "type": "quorum", "leader": "a", "members": ["a", "b", "c"], "online": ["a", "b", "c"]}


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    instance = Instance("some", tmp_path)
    (tmp_path / "some").mkdir()
    return instance


def test_each_node_has_ports_of_its_own_and_all_have_one_login(instance: Instance) -> None:
    cluster = Cluster(instance)

    urls = [*rabbitmq_nodes(cluster.url), *cluster.management_urls]

    assert len({re.sub(r".*:(\d+)/?$", r"\1", url) for url in urls}) == 6
    assert {url.partition("@")[0] for url in urls[:3]} == {f"amqp://tocsin:{cluster.password}"}


def test_a_stack_of_one_node_and_one_of_three_say_what_runs_when_all_is_well(tmp_path: Path) -> None:
    one, three = (
        Stack("some", env={"DATABASE_URL": "postgresql://x"}, root=tmp_path, rabbitmq_nodes=nodes)
        for nodes in (1, 3)
    )

    assert one.expected() == ["rabbitmq", "epmd"]
    assert three.expected() == ["rabbitmq-1", "rabbitmq-2", "rabbitmq-3", "epmd"]


def test_a_cluster_that_was_never_started_lacks_each_node(instance: Instance) -> None:
    assert Cluster(instance).gaps() == [f"rabbitmq-{number} does not run" for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("changes", "gaps"),
    [
        ({}, []),
        ({"online": ["a", "c"]}, ["q has no member online on b"]),
        (
            {"leader": "", "online": ["b"]},
            ["q has no leader", "q has no member online on a", "q has no member online on c"],
        ),
        ({"leader": "b", "online": ["a", "c"]}, ["q has no leader", "q has no member online on b"]),
        ({"type": "classic", "leader": "", "members": "", "online": ""}, []),
    ],
)
def test_a_quorum_queue_needs_a_leader_that_is_online_and_all_its_members(
    changes: dict[str, object], gaps: list[str]
) -> None:
    assert gaps_of(QUEUE | changes) == gaps
