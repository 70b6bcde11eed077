"""ADAPTER. What the tools that know their formats say of the files that deploy Tocsin; no engine is asked."""

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

BIN = Path(sys.executable).parent
# What compose.prod.yaml and compose.yaml ask for.
VARIABLES = {
    "ACME_EMAIL": "operator@tocsin.example",
    "API_KEY": "at-least-16-characters",
    "DOMAIN": "tocsin.example",
    "VERSION": "0.1.0",
}


def dockerfile_problems(path: Path) -> str:
    """What hadolint says."""
    return _run(BIN / "hadolint", "--no-color", path)


def compose_problems(path: Path, *more: Path, variables: dict[str, str] = VARIABLES) -> str:
    """Where it is no compose file by the schema, or compose itself cannot read it with `more` on top."""
    schema = _run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", path, *more)
    return schema or _run(*_config(path, *more), "--quiet", variables=variables)


def compose_file(path: Path, *more: Path) -> Any:
    """What compose makes of it with `more` on top."""
    return yaml.safe_load(_output(_run_fully(*_config(path, *more), variables=VARIABLES)))


def kustomize_problems(folder: Path) -> str:
    """Where kustomize cannot build it, or Kubernetes would not take what it builds."""
    built = _run_fully(BIN / "kubectl", "kustomize", folder)
    if built.returncode:
        return built.stderr
    return _run(BIN / "kubernetes-validate", "--strict", "--quiet", "-", text=built.stdout)


def kustomized(folder: Path) -> list[Any]:
    """The resources that kustomize builds."""
    return list(yaml.safe_load_all(_output(_run_fully(BIN / "kubectl", "kustomize", folder))))


def script_problems(path: Path) -> str:
    """What shellcheck says."""
    return _run(BIN / "shellcheck", "--color=never", path)


def _compose() -> Path:
    # The package's own command always ends with exit code 0.
    spec = find_spec("compose")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "docker-compose"


def _config(*paths: Path) -> list[str | Path]:
    return [_compose(), *(part for path in paths for part in ("--file", path)), "config"]


def _run(*command: str | Path, text: str | None = None, variables: Mapping[str, str] = {}) -> str:
    """What it prints where it fails."""
    done = _run_fully(*command, text=text, variables=variables)
    return "" if done.returncode == 0 else done.stdout + done.stderr or f"exit code {done.returncode}"


def _output(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def _run_fully(
    *command: str | Path, text: str | None = None, variables: Mapping[str, str] = {}
) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    return subprocess.run(command, input=text, env=environment, capture_output=True, text=True, check=False)
