"""Structured logs: one JSON object a line on standard error, without personal data.

A line of a library keeps only its logger, level and the type of its exception: its text may quote
what a sender wrote.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Any

import structlog

# A module started with `python -m` logs as `__main__`.
_OWN = ("databricks_app", "__main__")


def configure(level: str, process: str) -> None:
    """Send all logs of this process to standard error.

    Args:
        level: Lowest level shown: debug, info, warning or error.
        process: Role of the process, added to each line.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _strip_foreign],
            # Text and arguments of a library's line reach `_strip_foreign` separately and are
            # never formatted: if they do not fit, `logging` would print both.
            pass_foreign_args=True,
            use_get_message=False,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _AddProcess(process),
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in _OWN:
        logging.getLogger(name).setLevel(level.upper())
    logging.captureWarnings(True)
    sys.excepthook = lambda kind, _value, trace: _log_uncaught(kind, trace)
    threading.excepthook = lambda raised: _log_uncaught(raised.exc_type, raised.exc_traceback)
    sys.unraisablehook = lambda raised: _log_uncaught(raised.exc_type, raised.exc_traceback)


def _log_uncaught(kind: type[BaseException], trace: TracebackType | None) -> None:
    """Log an uncaught exception: its type and place, not its text."""
    if issubclass(kind, SystemExit):
        return  # `sys.exit` in a thread is not an error
    # The innermost calls are enough to find the place.
    places = _places(trace)
    structlog.get_logger(__name__).critical("uncaught", error=kind.__name__, at=places[-8:])


def raised_at(error: BaseException) -> str:
    """Return the file and line that raised an error, such as `receiver.py:120`."""
    return (_places(error.__traceback__) or ["unknown"])[-1]


def _places(trace: TracebackType | None) -> list[str]:
    frames = traceback.walk_tb(trace)
    return [f"{Path(frame.f_code.co_filename).name}:{line}" for frame, line in frames]


class _AddProcess:
    def __init__(self, process: str) -> None:
        self._process = process

    def __call__(
        self, _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        event["process"] = self._process
        return event


def _strip_foreign(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Reduce a library's line to its logger, its line number and the type of its exception."""
    record: logging.LogRecord = event["_record"]
    kept = {name: event[name] for name in ("_record", "_from_structlog", "timestamp", "level")}
    kept |= {"event": "library_message", "logger": record.name, "line": record.lineno}
    # gunicorn's templates are its own constants; of the arguments only numbers are kept.
    if record.name.startswith("gunicorn"):
        arguments = event["positional_args"]
        if isinstance(record.msg, str):
            kept["template"] = record.msg
        if isinstance(arguments, tuple):
            kept["numbers"] = [one for one in arguments if isinstance(one, int)]
    if record.exc_info and record.exc_info[0] is not None:
        kept["error"] = record.exc_info[0].__name__
    record.exc_info = record.exc_text = None
    return kept
