"""ADAPTER. What the tools that know their formats say of the files that deploy Tocsin; no engine is asked."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

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


def compose_problems(path: Path, variables: dict[str, str] = VARIABLES) -> str:
    """Where it is no compose file by the schema, or compose itself cannot read it."""
    schema = _run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", path)
    return schema or _run(_compose(), "--file", path, "config", "--quiet", variables=variables)


def kustomize_problems(folder: Path) -> str:
    """Where kustomize cannot build it, or Kubernetes would not take what it builds."""
    built = subprocess.run(
        [BIN / "kubectl", "kustomize", folder], capture_output=True, text=True, check=False, env=_environment({})
    )
    if built.returncode:
        return built.stderr
    return _run(BIN / "kubernetes-validate", "--strict", "--quiet", "-", text=built.stdout)


def script_problems(path: Path) -> str:
    """What shellcheck says."""
    return _run(BIN / "shellcheck", "--color=never", path)


def _compose() -> Path:
    # The package's own command always ends with exit code 0.
    spec = find_spec("compose")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "docker-compose"


def _run(*command: str | Path, text: str | None = None, variables: dict[str, str] | None = None) -> str:
    """What it prints where it fails."""
    done = subprocess.run(
        command, input=text, env=_environment(variables or {}), capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr or f"exit code {done.returncode}"


def _environment(variables: dict[str, str]) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
