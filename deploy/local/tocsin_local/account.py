"""ADAPTER. The account that PostgreSQL runs as when root calls: it refuses to run as root."""

import os
import pwd
import subprocess
from pathlib import Path

from tocsin_local.errors import StackError

# What PostgreSQL gets, only then, when its folder lies below one that its account may not enter
# (root's home is 0700): the right to pass file permissions, and no other of root's rights.
PASS_FOLDERS = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]


def own(folder: Path) -> None:
    """Create a folder (0700) and, when root calls, give it and all in it to the account."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    if os.geteuid() == 0:
        entry = _entry()
        for path in (folder, *folder.rglob("*")):
            os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)


def command_prefix(folder: Path) -> list[str]:
    """Return what to put before a command that works in `folder` (existing, of the account).

    Nothing for an ordinary user; a `setpriv` command for root. StackError if the folder cannot be reached.
    """
    if os.geteuid() != 0:
        return []
    entry = _entry()
    drop = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
    for prefix in (drop, drop + PASS_FOLDERS):
        enter = [*prefix, "env", f"--chdir={folder}", "true"]  # tried, as access(2) ignores capabilities
        if subprocess.run(enter, cwd="/", capture_output=True, check=False).returncode == 0:
            return prefix
    raise StackError(
        f"User {entry.pw_name} cannot enter {folder}, and this system does not let root hand on the right to. "
        "Set TOCSIN_LOCAL_DIR to a folder that every user may enter, such as one below /var/tmp."
    )


def _entry() -> pwd.struct_passwd:
    """Return user postgres, or `nobody` on a machine whose server did not come as a Debian package."""
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")
