"""ADAPTER. Which methods a path has, for whoever asks with OPTIONS and is no browser.

Litestar would answer with those of the handler that it was given first.
"""

from typing import Any, Final

from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler

from tocsin_api.access import NEEDED

OPTIONS: Final = "OPTIONS"


def handler() -> HTTPRouteHandler:
    """The route of all paths; to be given to Litestar before those of the other methods."""
    paths = sorted({path.replace("_id}", "_id:str}") for _, path in NEEDED})
    return HTTPRouteHandler(paths, http_method=OPTIONS, status_code=204, sync_to_thread=False)(_show_methods)


def _show_methods(request: Request[Any, Any, Any]) -> Response[None]:
    template = request.scope["path_template"]
    methods = {method for method, path in NEEDED if path == template}
    return Response(None, status_code=204, headers={"Allow": ", ".join(sorted({*methods, OPTIONS}))})
