"""SHELL. The route that shows all tasks and executions at a glance."""

from litestar import get

from tocsin_api.resources import Injected
from tocsin_api.stats import Stats


@get("/api/tasks/dashboard/stats")
async def show_stats(resources: Injected) -> Stats:
    """Show all tasks and executions at a glance; all who ask within seconds are shown the same."""
    return await resources.stats.get()
