"""ADAPTER. Debian packages that a machine lacks: installed by apt, without letting their services start."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping

from tocsin_local.errors import StackError

# Runs as root. Answers "may this service start?" with no (101) while apt works, unless the machine
# already has such an answer of its own; one that a killed run left behind is ours to remove.
# The services that came along are then disabled, so that they do not start with the next boot either.
INSTALL = """
policy=/usr/sbin/policy-rc.d
mark='# tocsin: temporary, keeps new services from starting'
if [ ! -e "$policy" ] && [ ! -L "$policy" ] || grep -qsF "$mark" "$policy"; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' HUP INT TERM
    printf '#!/bin/sh\\n%s\\nexit 101\\n' "$mark" > "$policy"
    chmod 755 "$policy"
fi
new=
for unit in postgresql.service rabbitmq-server.service epmd.socket epmd.service redis-server.service \\
    nginx.service; do
    [ -e "/lib/systemd/system/$unit" ] || new="$new $unit"
done
export DEBIAN_FRONTEND=noninteractive
quietly() { apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@" < /dev/null; }
install() { quietly install --yes --no-install-recommends "$@"; }
install "$@" || { quietly update && install "$@"; } || exit 1
for unit in $new; do
    [ -e "/lib/systemd/system/$unit" ] || continue
    systemctl --quiet disable "$unit" || update-rc.d "${unit%.*}" disable || true
done
"""
TAIL_CHARS = 2_000  # of apt's output, shown when it fails


def install(wanted: Mapping[str, str]) -> None:
    """Install Debian packages, as root or through sudo.

    `wanted` maps each package to the reason for it, which is printed. Raises StackError where
    this user may not install, or when apt fails.
    """
    if not wanted:
        return
    command = [*_become_root(wanted), "sh", "-c", INSTALL, "sh", *wanted]
    reasons = "; ".join(f"{package}: {reason}" for package, reason in wanted.items())
    print(f"Installing Debian packages ({reasons}). Their services will not be started.", flush=True)
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        if _run_to_the_end(command, output.fileno()) != 0:
            output.seek(0)
            raise StackError(f"{_by_hand(wanted)}\napt-get failed:\n{output.read()[-TAIL_CHARS:]}")


def _become_root(wanted: Mapping[str, str]) -> list[str]:
    """Return what to put before a command so that it runs as root; StackError if that cannot be."""
    if shutil.which("apt-get") is None:
        raise StackError(f"This is no Debian system (no apt-get). {_by_hand(wanted)}")
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        raise StackError(f"This user may not install packages (no sudo). {_by_hand(wanted)}")
    if sys.stdin.isatty():
        return ["sudo"]
    if subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode != 0:
        raise StackError(f"This user may not install packages (sudo asks for a password). {_by_hand(wanted)}")
    return ["sudo", "-n"]


def _by_hand(wanted: Mapping[str, str]) -> str:
    reasons = ", ".join(f"{package} ({reason})" for package, reason in wanted.items())
    return f"Needed: {reasons}. As root: apt-get install {' '.join(wanted)}"


def _run_to_the_end(command: list[str], output: int) -> int:
    """Run a command that must not be cut off: Ctrl-C reaches it, and it is then left to tidy up."""
    with subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise
