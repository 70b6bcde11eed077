"""Production's Traefik shows the world what it should of the API and nothing else; so does Kubernetes' ingress."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import yaml

from repository import tracked, traefik
from tocsin_api import bodies
from tocsin_api.access import NEEDED

ROUTES = tracked.texts()["deploy/traefik/routes.yaml"]
SERVICE = yaml.safe_load(tracked.texts()["deploy/compose.prod.yaml"])["services"]["traefik"]
FLAGS = SERVICE["command"]
HAS_TMP = not SERVICE["read_only"] or any(each.split(":")[0] == "/tmp" for each in SERVICE.get("tmpfs", ()))  # noqa: S108 - the container's
INGRESS = "deploy/kubernetes/base/api.yaml"
REQUESTS = sorted((method, re.sub(r"\{\w+\}", "a-b", path)) for method, path in NEEDED)
INNER = {"/health/ready"}
"""Of the API's paths; all others are for the world."""
NOBODYS = ("/", "/api", "/apis", "/metrics", "/health", "/health/live/x", "/.well-known/other", "/dashboard/")
WAYS_ROUND = ("/api/../health/ready", "/api/%2e%2e/health/ready", "//health/ready", "/health/./ready")


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str], AbstractContextManager[traefik.Traefik]]:
    return lambda routes: traefik.running(FLAGS, routes, tmp_path)


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[traefik.Traefik]:
    with traefik.running(FLAGS, ROUTES, tmp_path_factory.mktemp("traefik"), has_tmp=HAS_TMP) as running:
        assert running.problems() == []
        yield running


def test_each_request_that_the_api_answers_gets_through_but_for_the_inner_ones(
    production: traefik.Traefik,
) -> None:
    production.asked.clear()

    answers = {request: production.answer(*request).status_code for request in REQUESTS}

    refused = {path for (_, path), status in answers.items() if status != 200}
    assert refused == INNER
    assert set(production.asked) == {path for _, path in REQUESTS} - INNER


def test_nothing_else_gets_through(production: traefik.Traefik) -> None:
    production.asked.clear()

    statuses = {path: production.answer("GET", path).status_code for path in (*NOBODYS, *WAYS_ROUND)}

    assert production.asked == []
    assert set(statuses.values()) == {404}


def test_who_asks_without_tls_is_led_to_it(production: traefik.Traefik) -> None:
    answer = production.answer("POST", "/api/tasks", scheme="http")

    assert answer.status_code in (301, 308)
    assert answer.headers["Location"].startswith(f"https://{traefik.DOMAIN}")


def test_another_name_has_no_certificate(production: traefik.Traefik) -> None:
    assert not production.is_known("other.example")
    assert production.is_known(traefik.DOMAIN)


def test_answers_say_that_tls_is_kept_to(production: traefik.Traefik) -> None:
    assert production.answer("GET", "/api/tasks").headers["Strict-Transport-Security"] == "max-age=31536000"


def test_a_body_gets_through_if_the_api_would_take_its_length(production: traefik.Traefik) -> None:
    most = production.answer("POST", "/api/tasks", content=b"x" * bodies.MAX_BYTES)
    too_long = production.answer("POST", "/api/tasks", content=b"x" * (bodies.MAX_BYTES + 100_000))

    assert (most.status_code, too_long.status_code) == (200, 413)


def test_a_large_answer_gets_through(production: traefik.Traefik) -> None:
    answer = production.answer("GET", "/api/tasks?large")

    assert (answer.status_code, len(answer.content)) == (200, traefik.LARGE)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("PathPrefix", "PathPerfix", "unsupported function: PathPerfix"),
        ("service: api", "service: apis", 'the service "apis@file" does not exist'),
        ("middlewares: [headers", "middlewares: [header", 'middleware "header@file" does not exist'),
        ("loadBalancer:", "loadBalanser:", "field not found, node: loadBalanser"),
        ("entryPoints: [https]", "entryPoints: [tls]", 'entryPoint "tls" doesn\'t exist'),
        ("certResolver: acme", "certResolver: acne", "nonexistent certificate resolver"),
        ('{{ env "DOMAIN" }}', '{{ env "DOMAIN" }', "template"),
    ],
)
def test_broken_routes_are_found(
    run: Callable[[str], AbstractContextManager[traefik.Traefik]], before: str, after: str, said: str
) -> None:
    assert before in ROUTES

    with run(ROUTES.replace(before, after)) as broken:
        problems = broken.problems()

    assert any(said in problem for problem in problems), problems


def test_a_flag_that_there_is_not_is_found(tmp_path: Path) -> None:
    with traefik.running([*FLAGS, "--entrypoint.http.address=:80"], ROUTES, tmp_path) as broken:
        [problem] = broken.problems()

    assert "entrypoint" in problem


def test_the_ingress_of_kubernetes_shows_the_same() -> None:
    documents = list(yaml.safe_load_all(tracked.texts()[INGRESS]))
    [ingress] = [each for each in documents if each["kind"] == "Ingress"]
    rules = [path for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]

    def shows(path: str) -> bool:
        return any(
            path == rule["path"] or (rule["pathType"] == "Prefix" and path.startswith(f"{rule['path']}/"))
            for rule in rules
        )

    assert {path for _, path in REQUESTS if not shows(path)} == INNER
    assert not [path for path in NOBODYS if path != "/api" and shows(path)]
