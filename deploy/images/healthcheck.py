"""ADAPTER. The image's health check: exit code 0 where the process in this container says that it is alive."""

import os
import urllib.request

TIMEOUT_S = 4


def main() -> None:
    """Ask it; whatever goes wrong ends this with another exit code."""
    is_api = os.environ["TOCSIN_SERVICE"] == "api"
    port = os.environ.get("PORT", "3005") if is_api else os.environ["METRICS_PORT"]
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    direct.open(f"http://127.0.0.1:{port}/health/live", timeout=TIMEOUT_S).close()


if __name__ == "__main__":
    main()
