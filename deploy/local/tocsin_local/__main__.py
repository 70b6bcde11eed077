"""SHELL. The command line of the local stack: `python3 -m tocsin_local up | down | status | …`."""

import argparse
import importlib
import signal
import sys
from types import FrameType
from typing import NoReturn

from tocsin_local import python_packages, up
from tocsin_local.errors import StackError
from tocsin_local.stack import Stack


def main() -> int:
    """Run one command and return the exit code; an error is one message, not a traceback."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
    try:
        return _run(_arguments())
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tocsin_local", description="Tocsin and its servers without containers.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup", help="make the virtual environment .venv")
    commands.add_parser("install", help="install the servers' Debian packages where they are missing")
    commands.add_parser("up", help="start servers, api, scheduler and sender")
    commands.add_parser("down", help="stop them")
    commands.add_parser("clean", help="stop every instance and remove its data")
    commands.add_parser("status", help="say what of them runs")
    commands.add_parser("migrate", help="migrate the database")
    commands.add_parser("cluster-up", help="start a RabbitMQ cluster")
    commands.add_parser("cluster-down", help="stop it")
    commands.add_parser("demo", help="show what Tocsin does, on an instance of its own")
    commands.add_parser("image-locks", help="write what each image installs of requirements.lock")
    commands.add_parser("docs", help="write the parts of the README that come from the code")
    commands.add_parser("screenshots", help="take the pictures of docs/images anew")
    stack = commands.add_parser("stack", help="start just the servers of an instance and print their URLs")
    stack.add_argument("name")
    stack.add_argument("--stop", action="store_true", help="stop them instead")
    return parser.parse_args()


def _run(arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "setup":
            python_packages.setup()
        case "install":
            Stack("test", with_redis=True).install_missing()
        case "up":
            up.up()
        case "down":
            up.down()
        case "cluster-up":
            up.cluster_up()
        case "cluster-down":
            up.cluster_down()
        case "clean":
            up.clean()
        case "migrate":
            up.migrate()
        case "status":
            return 0 if up.status() else 1
        case "stack":
            _stack(arguments.name, arguments.stop)
        case "image-locks":
            importlib.import_module("tocsin_local.image_locks").write()
        case "docs":
            importlib.import_module("tocsin_local.generated").write()
        case "demo" | "screenshots":
            # Not at the top: of all commands only these need the virtual environment, with those two above.
            return int(importlib.import_module(f"tocsin_local.{arguments.command}").main() or 0)
    return 0


def _stack(name: str, stop: bool) -> None:
    if stop:
        Stack(name).stop()
        return
    urls = Stack(name).start()
    print(f"DATABASE_URL={urls.database_url}\nRABBITMQ_URL={urls.rabbitmq_url}")
    print(f"MANAGEMENT_URL={urls.management_url}")
    print(f"MANAGEMENT_USER={urls.management_user}\nMANAGEMENT_PASSWORD={urls.management_password}")


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    """End as Ctrl-C does, so that what was started is stopped."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
