"""ADAPTER. Logs: constant `noun.verbed` events with facts as fields; JSON unless a person reads at a terminal."""

import json
import logging
import sys
from types import TracebackType

import msgspec
import structlog

from tocsin_common.settings import DatabaseSettings

_log = structlog.get_logger(__name__)
_encoder = msgspec.json.Encoder(enc_hook=repr)


def configure(settings: DatabaseSettings, *, service: str) -> None:
    """Set up structlog for this process; every line names `service`."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    as_json = settings.environment == "production" or not sys.stderr.isatty()
    # Not the default formatter of tracebacks: it shows local variables, and with them secrets.
    console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    facts: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: list[structlog.types.Processor] = [
        structlog.processors.format_exc_info if as_json else _leave_exceptions,
        structlog.processors.JSONRenderer(serializer=_as_json) if as_json else console,
    ]
    structlog.configure(
        processors=[*facts, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    # Libraries log through the standard module; what they say below a warning is noise here.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*facts, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    if as_json:  # what collects the log reads line by line, and a traceback has many
        sys.excepthook = _log_crash


def _log_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        _log.critical("process.crashed", exc_info=(kind, error, trace))


def _as_json(event: structlog.types.EventDict, **_: object) -> str:
    try:
        return _encoder.encode(event).decode()
    except UnicodeEncodeError:  # a lone surrogate
        return json.dumps(event, default=repr)


def _leave_exceptions(
    _logger: object, _method: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    """The console renderer prints exceptions itself."""
    return event
