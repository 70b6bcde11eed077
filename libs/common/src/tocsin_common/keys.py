"""ADAPTER. The sealing keys of a process: those of SEALING_KEYS, in development else one that is kept in a file.

Whichever process comes first makes that one, for all processes that work in the same folder.
"""

import os
import secrets
import tempfile
from base64 import b64encode
from pathlib import Path

import structlog

from tocsin_common.errors import SettingsError
from tocsin_common.sealing import KEY_BYTES, Sealer

LOCAL_KEY = Path(".local") / "sealing-key"

_log = structlog.get_logger(__name__)


def load_sealer(sealing_keys: str, local_key: Path = LOCAL_KEY) -> Sealer:
    """With `sealing_keys`, which only development may leave empty. Raises SettingsError."""
    if sealing_keys:
        return Sealer.from_setting(sealing_keys)
    sealer = Sealer.from_setting(_read_or_make(local_key), source=str(local_key))
    _log.warning("keys.local", file=str(local_key.absolute()), hint="production needs SEALING_KEYS")
    return sealer


def show(sealer: Sealer) -> None:
    """Name the keys in the log, so that an operator sees whether all processes have the same."""
    _log.info("keys.loaded", key_ids=sealer.key_ids)


def _read_or_make(path: Path) -> str:
    try:
        if not path.exists():
            _make(path)
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not ASCII"
        raise SettingsError(f"SEALING_KEYS is not set, and {path} cannot hold a key instead: {reason}") from None


def _make(path: Path) -> None:
    """Nobody sees a part of the key, and of those that make one at the same time the first one's stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")  # for this user alone
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """What is new in it survives a crash of the machine: before anything is sealed, its key is kept."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
