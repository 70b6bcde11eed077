"""ADAPTER. Traefik itself, with production's flags and routes. Behind it is what notes the requests."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from certificates import Authority
from tocsin_local import ports
from tocsin_local.process import wait_until

TRAEFIK = Path(sys.executable).parent / "traefik"
DOMAIN = "tocsin.example"
READY_TIMEOUT_S = 30.0
MINE = ("entrypoints.http.address", "entrypoints.https.address", "providers.file.filename")
RESOLVER = "certificatesresolvers.acme.acme"
LARGE = 2_000_000
"""Bytes that the backend answers with where a path ends with `?large`: more than Traefik keeps in memory."""


class Backend(ThreadingHTTPServer):
    """Says 200 to everything."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.asked: list[str] = []
        """The paths of the requests that Traefik passed on."""


class Traefik:
    """One that runs."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", log: Path, backend: Backend, trust: Any, **ports: int
    ) -> None:
        self._process = process
        self._log = log
        self._trust = trust
        self._ports = ports
        self.asked = backend.asked
        """The paths of the requests that got through."""

    def answer(
        self, method: str, path: str, *, scheme: str = "https", content: bytes | None = None
    ) -> httpx.Response:
        """What a client of DOMAIN gets; the path goes out as it is written."""
        with httpx.Client(verify=self._trust) as client:
            return client.request(
                method,
                f"{scheme}://127.0.0.1:{self._ports[scheme]}/",
                content=content,
                headers={"Host": DOMAIN},
                extensions={"sni_hostname": DOMAIN, "target": path.encode()},
            )

    def is_known(self, name: str) -> bool:
        """Whether it has a certificate to show for a host of this name."""
        with httpx.Client(verify=self._trust) as client:
            try:
                client.get(f"https://127.0.0.1:{self._ports['https']}/", extensions={"sni_hostname": name})
            except httpx.ConnectError:
                return False
        return True

    def problems(self) -> list[str]:
        """What it says about its configuration once it has read it."""
        if not wait_until(self._has_read, READY_TIMEOUT_S):
            return ["it finds no router"]
        if self._process.poll() is not None:
            return [self._log.read_text()]
        errors = [error for router in self._routers() for error in router.get("error", [])]
        return [*self._errors(), *errors]

    def _has_read(self) -> bool:
        return self._process.poll() is not None or bool(self._errors() or self._routers())

    def _routers(self) -> list[dict[str, Any]]:
        try:
            answer = httpx.get(f"http://127.0.0.1:{self._ports['inner']}/api/http/routers")
        except httpx.TransportError:
            return []
        found = answer.json() if answer.status_code == httpx.codes.OK else []
        return [router for router in found if router["provider"] == "file"]

    def _errors(self) -> list[str]:
        lines = [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]
        return [
            f"{line.get('message', '')}: {line.get('error', '')}"
            for line in lines
            # No certificate can be had here: see _flags.
            if line["level"] in ("error", "fatal") and line.get("providerName") != "acme.acme"
        ]


@contextmanager
def running(flags: Sequence[str], routes: str, folder: Path, *, has_tmp: bool = True) -> Iterator[Traefik]:
    """Start it with production's `flags`, but for what this machine lacks; its `routes` lead to a backend.

    `has_tmp`: whether it has a folder for temporary files.
    """
    with ExitStack() as stack:
        backend = stack.enter_context(_backend())
        authority = Authority(folder)
        authority.server(DOMAIN)
        [certificate] = folder.glob("*.pem")
        provided = folder / "provided"
        provided.mkdir()
        (provided / "routes.yaml").write_text(routes.replace("//api:3005", f"//127.0.0.1:{backend.server_port}"))
        pair = {"certFile": str(certificate), "keyFile": str(certificate)}
        (provided / "certificates.yaml").write_text(json.dumps({"tls": {"certificates": [pair]}}))
        own = _ports()
        log, tmp = folder / "log", folder if has_tmp else folder / "nowhere"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [TRAEFIK, *_flags(flags, folder, own)],
                env={"DOMAIN": DOMAIN, "TMPDIR": str(tmp)},
                stdout=output,
                stderr=output,
            )
        stack.callback(process.wait)
        stack.callback(process.kill)
        yield Traefik(process, log, backend, authority.trust, **own)


def _ports() -> dict[str, int]:
    found: dict[str, int] = {}
    for use in ("http", "https", "inner"):
        found[use] = ports.choose(found.values())
    return found


def _flags(flags: Sequence[str], folder: Path, own: dict[str, int]) -> list[str]:
    kept = [flag for flag in flags if not flag.removeprefix("--").startswith((*MINE, RESOLVER))]
    return [
        *kept,
        *(f"--entrypoints.{use}.address=127.0.0.1:{own[use]}" for use in ("http", "https")),
        f"--entrypoints.traefik.address=127.0.0.1:{own['inner']}",
        f"--providers.file.directory={folder / 'provided'}",
        "--api.insecure=true",
        # The resolver that the routes name; nobody is asked for a certificate.
        f"--{RESOLVER}.caserver=https://127.0.0.1:1/",
        f"--{RESOLVER}.storage={folder / 'acme.json'}",
        f"--{RESOLVER}.tlschallenge=true",
    ]


@contextmanager
def _backend() -> Iterator[Backend]:
    with Backend() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        try:
            yield server
        finally:
            server.shutdown()


class _Answer(BaseHTTPRequestHandler):
    server: Backend

    def do_GET(self) -> None:
        if "X-Forwarded-For" in self.headers:  # else it is Traefik that asks, for the API's health
            self.server.asked.append(self.path)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = b"x" * (LARGE if self.path.endswith("?large") else 0)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PATCH = do_DELETE = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing: the test asks what it wants to know."""
