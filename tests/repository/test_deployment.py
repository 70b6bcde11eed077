"""The files that deploy Tocsin are what their tools take, fit each other and the settings; without an engine."""

import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import yaml

from repository import deployment, tracked
from tocsin_common import settings
from tocsin_local import image_locks

TEXTS = tracked.texts()
DOCKERFILE = "deploy/images/Dockerfile"
COMPOSE, PRODUCTION = COMPOSE_FILES = ("compose.yaml", "deploy/compose.prod.yaml")
VERIFY = tracked.ROOT / "deploy" / "compose.verify.yaml"
KUBERNETES = "deploy/kubernetes"
SCRIPTS = sorted(path for path, text in TEXTS.items() if text.startswith(("#!/usr/bin/env bash", "#!/bin/sh")))
COMMANDS = {
    "serve": settings.ApiSettings,
    "migrate": settings.DatabaseSettings,
    "schedule": settings.SchedulerSettings,
    "send": settings.SenderSettings,
}
SERVICES = ("api", "scheduler", "sender")


def test_the_dockerfile_is_in_order() -> None:
    assert not (problems := deployment.dockerfile_problems(tracked.ROOT / DOCKERFILE)), problems


@pytest.mark.parametrize("path", COMPOSE_FILES)
def test_compose_takes_its_files(path: str) -> None:
    assert not (problems := deployment.compose_problems(tracked.ROOT / path)), problems


def test_compose_takes_what_opens_the_way_for_verify_on_top_of_production() -> None:
    assert not (problems := deployment.compose_problems(tracked.ROOT / PRODUCTION, VERIFY)), problems


@pytest.mark.parametrize("layer", ["base", "production"])
def test_kubernetes_takes_what_kustomize_builds(layer: str) -> None:
    assert not (problems := deployment.kustomize_problems(tracked.ROOT / KUBERNETES / layer)), problems


@pytest.mark.parametrize("path", SCRIPTS)
def test_shellcheck_finds_nothing(path: str) -> None:
    assert not (problems := deployment.script_problems(tracked.ROOT / path)), problems


def test_scripts_are_found_and_may_be_run() -> None:
    assert {"deploy/postgres/users.sh", "deploy/secrets.sh", ".ci/run"} <= set(SCRIPTS)
    assert all((tracked.ROOT / path).stat().st_mode & stat.S_IXUSR for path in SCRIPTS)


def test_each_image_locks_what_its_service_needs() -> None:
    for name, text in image_locks.texts().items():
        assert image_locks.path(name).read_text() == text, "run `make lock`"
        assert "sha256:" in text


def test_nothing_for_tests_is_in_an_image() -> None:
    locked = {name: image_locks.entries(text).keys() for name, text in image_locks.texts().items()}

    assert not (locked["api"] | locked["dispatcher"]) & {"pytest", "ruff", "mypy", "uv", "hatchling"}
    assert "litestar" in locked["api"] - locked["dispatcher"]
    assert "prometheus-client" in locked["dispatcher"]


@pytest.mark.parametrize("path", COMPOSE_FILES)
def test_compose_sets_what_there_is_to_set(path: str) -> None:
    services = yaml.safe_load(TEXTS[path])["services"]
    found = {name: service for name, service in services.items() if service.get("command", [""])[0] in COMMANDS}

    problems = [
        f"{path}: {name}: {problem}"
        for name, service in found.items()
        for problem in unfitting(COMMANDS[service["command"][0]], set(service["environment"]))
    ]

    assert set(found) >= set(SERVICES)
    assert not problems, "\n".join(problems)


def test_kubernetes_sets_what_there_is_to_set() -> None:
    documents = [
        each
        for path in TEXTS
        if path.startswith(f"{KUBERNETES}/base/")
        for each in yaml.safe_load_all(TEXTS[path])
    ]
    pods = [each["spec"]["template"]["spec"] for each in documents if each["kind"] in ("Deployment", "Job")]
    generated = next(each for each in documents if each["kind"] == "Kustomization")["configMapGenerator"]
    shared = {literal.partition("=")[0] for each in generated for literal in each["literals"]}
    problems = [
        f"{container['name']}: {problem}"
        for pod in pods
        for container in pod["containers"]
        for problem in unfitting(
            COMMANDS[container["args"][0]], {entry["name"] for entry in container["env"]} | {"ENVIRONMENT"}
        )
    ]

    assert len(pods) == len(COMMANDS)
    assert shared <= {field.encode_name.upper() for each in COMMANDS.values() for field in fields(each)}
    assert not problems, "\n".join(problems)


def unfitting(kind: type[msgspec.Struct], names: set[str]) -> Iterator[str]:
    """Which of these variables are no settings of this kind, and which settings of it are missing."""
    known = {field.encode_name.upper(): field for field in fields(kind)}
    everybodys = {field.encode_name.upper() for each in COMMANDS.values() for field in fields(each)}
    for name in names:
        secret = name.removesuffix("_FILE")
        is_file = secret != name and secret in known and is_secret(known[secret])
        if not is_file and name not in (known if is_secrets(name) else everybodys):
            yield f"{name} is no setting of it"
    for name, field in known.items():
        if field.required and not {name, f"{name}_FILE"} & names:
            yield f"{name} is missing"


def fields(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind)


def is_secret(field: msgspec.structs.FieldInfo) -> bool:
    metas = [each for each in get_args(field.type) if isinstance(each, msgspec.Meta)]
    return any((meta.extra or {}).get("secret") for meta in metas)


def is_secrets(name: str) -> bool:
    """Whether it is a secret of somebody's: then only those who need it may have it."""
    own = [field for each in COMMANDS.values() for field in fields(each) if field.encode_name.upper() == name]
    return any(is_secret(field) for field in own)


def test_production_publishes_traefik_alone_and_gives_two_of_each() -> None:
    services = yaml.safe_load(TEXTS[PRODUCTION])["services"]

    assert [name for name, service in services.items() if "ports" in service] == ["traefik"]
    assert [services[name]["deploy"]["replicas"] for name in SERVICES] == [2, 2, 2]
    assert services["redis"]["networks"] == ["back"]
    assert reach_out(deployment.compose_file(tracked.ROOT / PRODUCTION)) == {"traefik", "sender"}


def test_verify_lets_the_apis_out_and_nobody_else() -> None:
    opened = deployment.compose_file(tracked.ROOT / PRODUCTION, VERIFY)

    assert reach_out(opened) == {"traefik", "sender", "api"}


def reach_out(production: Any) -> set[str]:
    """The services that reach other machines."""
    inner = {name for name, network in production["networks"].items() if network.get("internal")}
    return {name for name, service in production["services"].items() if set(service["networks"]) - inner}


def test_production_believes_the_addresses_of_traefiks_network_alone() -> None:
    production = deployment.compose_file(tracked.ROOT / PRODUCTION)

    [config] = production["networks"]["front"]["ipam"]["config"]
    assert production["services"]["api"]["environment"]["TRUSTED_PROXIES"] == config["subnet"]
    front = {name for name, service in production["services"].items() if "front" in service["networks"]}
    assert front == {"traefik", "api"}


def test_each_setting_in_the_env_file_reaches_the_services_but_what_production_has_decided(
    own: Callable[[str], Path],
) -> None:
    file = own(PRODUCTION)
    (file.parents[1] / ".env").write_text("ALLOWED_ORIGINS=https://console.example\nPORT=80\nMETRICS_PORT=0\n")

    services = deployment.compose_file(file)["services"]

    for name in SERVICES:
        environment = services[name]["environment"]
        assert environment["ALLOWED_ORIGINS"] == "https://console.example"
        assert (environment["PORT"], environment["METRICS_PORT"]) == ("3005", "9464")


@pytest.fixture
def with_verify(own: Callable[[str], Path]) -> Path:
    """The production overlay with the component that opens the way for `?verify=true`."""
    file = own(f"{KUBERNETES}/production/kustomization.yaml")
    file.write_text(f"{file.read_text()}components: [../verify]\n")
    return file.parent


def test_in_kubernetes_only_senders_reach_the_internet_and_apis_where_that_is_chosen(with_verify: Path) -> None:
    plain = deployment.kustomized(tracked.ROOT / KUBERNETES / "production")
    opened = deployment.kustomized(with_verify)

    assert not (problems := deployment.kustomize_problems(with_verify)), problems
    assert reached(plain)["0.0.0.0/0"] == {("tocsin-sender", 443)}
    assert reached(opened)["0.0.0.0/0"] == {("tocsin-sender", 443), ("tocsin-api", 443)}


def test_in_kubernetes_only_apis_reach_redis_and_all_reach_postgresql_and_rabbitmq() -> None:
    destinations = reached(deployment.kustomized(tracked.ROOT / KUBERNETES / "production"))

    apps = {"tocsin-api", "tocsin-scheduler", "tocsin-sender", "tocsin-migrate"}
    assert destinations["redis"] == {("tocsin-api", 6379)}
    assert destinations["postgresql"] == {(app, 5432) for app in apps}
    assert {app for app, _ in destinations["rabbitmq"]} == apps
    assert set(destinations) == {"kube-dns", "redis", "postgresql", "rabbitmq", "0.0.0.0/0", "::/0"}


def reached(documents: list[Any]) -> dict[str, set[tuple[str, int]]]:
    """By where it leads: which applications may connect, and to which port."""
    owners = [each for each in documents if each["kind"] in ("Deployment", "Job")]
    labels = [owner["spec"]["template"]["metadata"]["labels"] for owner in owners]
    found: dict[str, set[tuple[str, int]]] = {}
    for policy in (each["spec"] for each in documents if each["kind"] == "NetworkPolicy"):
        chosen = {each["app.kubernetes.io/name"] for each in labels if selects(policy["podSelector"], each)}
        for way in policy.get("egress", []):
            pairs = {(app, port["port"]) for app in chosen for port in way["ports"]}
            for peer in way["to"]:
                name = (
                    peer["ipBlock"]["cidr"]
                    if "ipBlock" in peer
                    else next(iter(peer["podSelector"]["matchLabels"].values()))
                )
                found.setdefault(name, set()).update(pairs)
    return found


def selects(selector: Any, labels: dict[str, str]) -> bool:
    """Whether a pod with these labels is meant."""
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        labels.get(each["key"]) in each["values"] for each in selector.get("matchExpressions", [])
    )


def test_production_holds_no_secret_but_as_a_file() -> None:
    services = yaml.safe_load(TEXTS[PRODUCTION])["services"]

    for name, service in services.items():
        given = {variable for variable in service.get("environment", {}) if variable.endswith("_FILE")}
        assert {service["environment"][each].removeprefix("/run/secrets/") for each in given} <= set(
            service.get("secrets", [])
        ), name
        assert not {each for each in service.get("environment", {}) if is_secrets(each)}, name


@pytest.fixture
def own(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a copy of a folder of the repository, to spoil it; returns the copy of the file in it."""

    def copy(path: str) -> Path:
        for each in TEXTS:
            if each.startswith((f"{path.rpartition('/')[0]}/", "deploy/kubernetes/", path)):
                target = tmp_path / each
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(tracked.ROOT / each, target)
        return tmp_path / path

    return copy


@pytest.mark.parametrize(
    ("path", "before", "after", "said"),
    [
        (DOCKERFILE, "WORKDIR /src", "WORKDIR src", "DL3000"),
        (DOCKERFILE, "USER 10001:10001", "USER root", "DL3002"),
        (DOCKERFILE, "FROM python:${PYTHON} AS build", "FORM python", "unexpected"),
        (COMPOSE, "restart: unless-stopped", "restarts: unless-stopped", "restarts"),
        (COMPOSE, "<<: *service", "<<: *servant", "servant"),
        (COMPOSE, "api: {condition: service_healthy}", "apis: {condition: service_healthy}", "apis"),
        (PRODUCTION, "secrets: [owner_database_url]", "secrets: [nobodys]", "nobodys"),
        (PRODUCTION, "networks: [front, back]", "networks: [front, black]", "black"),
        (f"{KUBERNETES}/base/api.yaml", "readinessProbe:", "readynessProbe:", "readynessProbe"),
        (f"{KUBERNETES}/base/sender.yaml", "replicas: 2", "replicas: two", "two"),
        (f"{KUBERNETES}/base/kustomization.yaml", "- api.yaml", "- apis.yaml", "apis.yaml"),
        (
            f"{KUBERNETES}/base/network-policies.yaml",
            "policyTypes: [Egress]",
            "policyTypes: Egress",
            "policyTypes",
        ),
        (f"{KUBERNETES}/production/kustomization.yaml", "name: tocsin-sender", "name: sender", "sender"),
        (f"{KUBERNETES}/base/network-policies.yaml", "name: tocsin-redis", "nama: tocsin-redis", "name"),
        ("deploy/secrets.sh", 'mkdir -p "$folder"', "mkdir -p $folder", "SC2086"),
        ("deploy/postgres/users.sh", "if [ -n", "if [-n", "SC1035"),
    ],
)
def test_a_broken_file_is_found(own: Callable[[str], Path], path: str, before: str, after: str, said: str) -> None:
    file = own(path)
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))

    assert said in problems_of(path, file)


def problems_of(path: str, file: Path) -> str:
    if path == DOCKERFILE:
        return deployment.dockerfile_problems(file)
    if path in COMPOSE_FILES:
        return deployment.compose_problems(file)
    if path.startswith(KUBERNETES):
        return deployment.kustomize_problems(file.parent)
    return deployment.script_problems(file)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ({"DATABASE_URL", "METRIC_PORT"}, "METRIC_PORT is no setting of it"),
        ({"DATABASE_URL", "API_KEY"}, "API_KEY is no setting of it"),
        ({"DATABASE_URL", "LOG_LEVEL_FILE"}, "LOG_LEVEL_FILE is no setting of it"),
        ({"ENVIRONMENT"}, "DATABASE_URL is missing"),
    ],
)
def test_a_setting_that_does_not_fit_is_found(names: set[str], problem: str) -> None:
    assert list(unfitting(settings.DatabaseSettings, names)) == [problem]


def test_the_secrets_fit_each_other_and_stay(tmp_path: Path) -> None:
    def make() -> dict[str, str]:
        script, folder = tracked.ROOT / "deploy" / "secrets.sh", tmp_path / "secrets"
        subprocess.run([script], env={"PATH": "/usr/bin:/bin", "SECRETS_DIR": str(folder)}, check=True)
        return {path.name: path.read_text().strip() for path in folder.iterdir()}

    first, second = make(), make()

    wanted: dict[str, Any] = yaml.safe_load(TEXTS[PRODUCTION])["secrets"]
    assert {each["file"].removeprefix("secrets/") for each in wanted.values()} == set(first)
    assert first["sender_database_url"] == f"postgresql://tocsin_sender:{first['sender_password']}@postgres/tocsin"
    assert first["api_rabbitmq_url"] == f"amqp://tocsin-api:{first['api_password']}@rabbitmq/"
    assert '"tocsin-scheduler"' in first["rabbitmq_definitions"]
    del first["rabbitmq_definitions"], second["rabbitmq_definitions"]  # a new salt each time
    assert first == second
