"""ADAPTER. What `make setup` does: the virtual environment `.venv` with the locked packages and Tocsin's own."""

import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from tocsin_local import packages
from tocsin_local.errors import StackError
from tocsin_local.instance import ROOT

VENV = ROOT / ".venv"
STAMP = VENV / "tocsin-stamp"
LOCK = ROOT / "requirements.lock"
OWN = ("libs/common", "services/api", "services/dispatcher")


def setup() -> None:
    """Make `.venv` what lock file and project files say; does nothing if it is. StackError if that fails."""
    wanted = _digest()
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    print("Installing Python packages into .venv, about a minute.", flush=True)
    STAMP.unlink(missing_ok=True)
    if not _has_pip():
        _install_venv_module()
        _run([sys.executable, "-m", "venv", "--clear", str(VENV)])
    pip = _pip(VENV)
    _run([*pip, "--require-hashes", "-r", str(LOCK)])
    # What builds Tocsin's own packages is locked too, so it is not fetched once more.
    _run([*pip, "--no-build-isolation", *(part for folder in OWN for part in ("-e", str(ROOT / folder)))])
    STAMP.write_text(wanted)


def make_venv(venv: Path, lock: Path) -> None:
    """An environment of its own for `lock`, unless it is there. StackError if that fails."""
    stamp, wanted = venv / "lock", lock.read_text()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"Installing Python packages into {os.path.relpath(venv)}, some seconds.", flush=True)
    _install_venv_module()
    _run([sys.executable, "-m", "venv", "--clear", str(venv)])
    _run([*_pip(venv), "--require-hashes", "-r", str(lock)])
    stamp.write_text(wanted)


def _pip(venv: Path) -> list[str]:
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input", "--no-deps"]
    return [*pip, "--disable-pip-version-check"]


def _digest() -> str:
    """Return a digest of all that the environment depends on; its place too, for it cannot be moved."""
    digest = hashlib.sha256(f"{sys.version} {sys.executable} {ROOT}".encode())
    for path in (LOCK, ROOT / "pyproject.toml", *(ROOT / folder / "pyproject.toml" for folder in OWN)):
        try:
            digest.update(path.read_bytes())
        except FileNotFoundError:
            raise StackError(f"{path} is missing.") from None
    return digest.hexdigest()


def _has_pip() -> bool:
    python = VENV / "bin" / "python"
    command = [str(python), "-m", "pip", "--version"]
    return python.exists() and subprocess.run(command, capture_output=True, check=False).returncode == 0


def _install_venv_module() -> None:
    """Debian's Python comes without the modules that make a virtual environment."""
    if not all(importlib.util.find_spec(module) for module in ("venv", "ensurepip")):
        packages.install({"python3-venv": "Python's virtual environments"})


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, check=False
    )
    if done.returncode != 0:
        raise StackError(f"`{' '.join(command)}` failed:\n{done.stdout}")
