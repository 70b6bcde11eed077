"""What every process that a test starts inherits: the rest of the caller's environment stays out of it."""

import os

INHERITED = {name: os.environ[name] for name in ("PATH", "COVERAGE_PROCESS_CONFIG") if name in os.environ}
