"""The stack without containers: a private PostgreSQL and RabbitMQ, and Tocsin's own processes on them."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - said here, before an older Python fails on this package's syntax
    sys.exit("Tocsin needs Python 3.11 or newer: make … PYTHON=python3.11")
