"""Logs: constant `noun.verbed` events with facts as fields; JSON unless a person reads them at a terminal."""

import logging
import sys

import structlog

from tocsin_common.settings import Settings


def configure(settings: Settings, *, service: str) -> None:
    """Set up structlog for this process; every line names `service`."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    as_json = settings.environment == "production" or not sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if as_json else _leave_exceptions,
            structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    # Libraries log through the standard module; what they say below a warning is noise here.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")


def _leave_exceptions(
    _logger: object, _method: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    """The console renderer prints exceptions itself."""
    return event
