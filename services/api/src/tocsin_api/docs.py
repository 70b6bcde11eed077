"""ADAPTER. Swagger UI and the OpenAPI document. Both are public, and the page asks no other host for anything."""

from importlib.util import find_spec
from pathlib import Path

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from tocsin_api.openapi import openapi

ASSETS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "max-age=300",
}
PAGE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tocsin API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/api/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/api/docs/swagger-ui-bundle.js"></script>
<script src="/api/docs/start.js"></script>
</body>
</html>
"""
START = b"""SwaggerUIBundle({
  url: "/api/docs-json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null, persistAuthorization: false,
});
"""


def handlers() -> list[HTTPRouteHandler]:
    """The routes under /api/docs."""
    document = msgspec.json.encode(openapi())
    return [
        _serve("/api/docs-json", document, "application/json"),
        _serve("/api/docs", PAGE, "text/html"),
        _serve("/api/docs/start.js", START, "text/javascript"),
        *(_serve(f"/api/docs/{name}", _asset(name), kind) for name, kind in ASSETS.items()),
    ]


def _asset(name: str) -> bytes:
    spec = find_spec("swagger_ui")  # finds the package and runs none of it
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("swagger-ui-py is not installed")
    return (Path(spec.origin).parent / "static" / name).read_bytes()


def _serve(path: str, content: bytes, media_type: str) -> HTTPRouteHandler:
    @get(path, media_type=media_type, sync_to_thread=False)
    def serve() -> Response[bytes]:
        return Response(content, media_type=media_type, headers=HEADERS)

    return serve
