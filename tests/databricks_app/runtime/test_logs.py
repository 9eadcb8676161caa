"""Logs: one JSON object a line, and no text that a sender may have written."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

import pytest
import structlog

from databricks_app.runtime import logs

SECRET = "ada@example.com"

START = """
    import gc, logging, sys, threading, warnings
    import structlog
    from databricks_app.runtime import logs
    logs.configure({level!r}, "web")
    own = structlog.get_logger("databricks_app.ingest.receiver")
    secret = "ada@" + "example.com"
"""


def run(source: str, level: str = "info") -> list[dict[str, Any]]:
    """Run a process; return its log lines, each of which must be a JSON object."""
    done = subprocess.run(
        [sys.executable, "-c", dedent(START).format(level=level) + dedent(source)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == ""
    assert SECRET not in done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert all(isinstance(line, dict) for line in lines)
    return lines


def test_our_own_line_has_its_fields_and_its_logger() -> None:
    """Event, level, logger, process, time and the given fields."""
    (line,) = run('own.warning("stale_timestamp", age_seconds=301, key="651bf3b7")')

    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "stale_timestamp",
        "level": "warning",
        "logger": "databricks_app.ingest.receiver",
        "process": "web",
        "age_seconds": 301,
        "key": "651bf3b7",
    }


def test_a_line_stays_one_line() -> None:
    """Line feeds, odd characters and values without a JSON form do not break the format."""
    (line,) = run(r'own.info("odd", text="a\nb\u2028\udcff", value={1, 2}.__class__)')

    assert line["text"] == "a\nb\u2028\udcff"
    assert "set" in line["value"]


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["a", "b", "c", "d"]),
        ("info", ["b", "c", "d"]),
        ("warning", ["c", "d"]),
        ("error", ["d"]),
    ],
)
def test_the_level_applies_to_our_own_lines(level: str, shown: list[str]) -> None:
    """Also to those of a module that was started with `python -m`."""
    lines = run(
        """
        for name in ("databricks_app.serving.worker", "__main__"):
            own = structlog.get_logger(name)
            own.debug("a"); own.info("b"); own.warning("c"); own.error("d")
        """,
        level,
    )

    assert [line["event"] for line in lines] == shown * 2


def test_a_line_of_a_library_is_stripped() -> None:
    """Its text may quote a sender. Only its origin is kept, from level warning on."""
    lines = run(
        """
        other = logging.getLogger("werkzeug")
        other.info("not shown")
        other.warning("bad request from %s", secret)
        other.warning("bad request from " + secret)
        other.error("bad", extra={"sender": secret})
        """,
        "debug",
    )

    for line in lines:
        assert line.pop("timestamp")
        assert line.pop("line") > 0
    kept = {"event": "library_message", "logger": "werkzeug", "process": "web"}
    assert lines == [
        {**kept, "level": "warning"},
        {**kept, "level": "warning"},
        {**kept, "level": "error"},
    ]


def test_an_exception_of_a_library_is_named_and_not_quoted() -> None:
    """Its type is kept; its text and its traceback are not."""
    (line,) = run(
        """
        try:
            raise ValueError(secret)
        except ValueError:
            logging.getLogger("werkzeug").exception("failed for %s", secret)
        """
    )

    assert line["error"] == "ValueError"
    assert line["event"] == "library_message"


def test_a_library_line_with_wrong_arguments_is_stripped_too() -> None:
    """`logging` itself does not print arguments that do not fit."""
    lines = run(
        """
        logging.getLogger("werkzeug").warning("%d of %d", secret)
        logging.getLogger("gunicorn.error").warning("%d of %d", secret)
        """
    )

    assert [line["event"] for line in lines] == ["library_message"] * 2


def test_a_line_of_gunicorn_keeps_its_template_and_numbers() -> None:
    """Other arguments are dropped."""
    (line,) = run('logging.getLogger("gunicorn.error").error("Worker %s: %s (%d)", 17, secret, 9)')

    assert line["template"] == "Worker %s: %s (%d)"
    assert line["numbers"] == [17, 9]


def test_a_line_of_gunicorn_that_is_an_exception_is_not_quoted() -> None:
    """Some exceptions are logged in place of a text."""
    (line,) = run('logging.getLogger("gunicorn.error").error(ValueError(secret))')

    assert "template" not in line


@pytest.mark.parametrize("arguments", ["{'a': secret}", "secret, exc_info=ValueError(secret)"])
def test_a_line_of_gunicorn_with_odd_arguments_is_stripped(arguments: str) -> None:
    """Names instead of positions, and an exception too."""
    (line,) = run(f'logging.getLogger("gunicorn.error").error("said %s", {arguments})')

    assert line["template"] == "said %s"
    assert not line.get("numbers")


def test_an_uncaught_exception_is_logged_by_type_and_place() -> None:
    """File names and line numbers, no text and no values."""
    (line,) = run(
        """
        def fail():
            raise KeyError(secret)
        fail()
        """
    )

    assert (line["event"], line["level"], line["error"]) == ("uncaught", "critical", "KeyError")
    assert len(line["at"]) == 2
    assert all(place.startswith("<string>:") for place in line["at"])


def test_an_uncaught_exception_of_a_thread_is_logged_too() -> None:
    """A thread does not die silently."""
    (line,) = run(
        """
        def fail():
            raise KeyError(secret)
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        """
    )

    assert (line["event"], line["error"]) == ("uncaught", "KeyError")


def test_system_exit_in_a_thread_is_not_logged() -> None:
    """A thread may end itself so."""
    assert run("thread = threading.Thread(target=sys.exit); thread.start(); thread.join()") == []


def test_an_exception_of_a_finalizer_is_logged_without_its_text() -> None:
    """Python itself would print it with its text."""
    (line,) = run(
        """
        class Failing:
            def __del__(self):
                raise KeyError(secret)
        Failing()
        gc.collect()
        """
    )

    assert (line["event"], line["error"]) == ("uncaught", "KeyError")


def test_a_warning_of_python_is_a_line_too() -> None:
    """Warnings are stripped like the lines of a library."""
    (line,) = run("warnings.warn(secret, UserWarning, stacklevel=1)")

    assert (line["event"], line["logger"]) == ("library_message", "py.warnings")


def test_no_line_is_logged_twice() -> None:
    """Also after a second call of `configure`."""
    lines = run('logs.configure("info", "worker"); own.info("once")')

    assert [(line["event"], line["process"]) for line in lines] == [("once", "worker")]


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Restore what `configure` changes in this process."""
    root, own = logging.getLogger(), logging.getLogger("databricks_app")
    kept = root.handlers, root.level, own.level, sys.excepthook, threading.excepthook
    hook, captures = sys.unraisablehook, logging.getLogger("py.warnings").handlers
    yield
    root.handlers, level, own_level, sys.excepthook, threading.excepthook = kept
    root.setLevel(level)
    own.setLevel(own_level)
    logging.getLogger("__main__").setLevel(logging.NOTSET)
    sys.unraisablehook = hook
    logging.getLogger("py.warnings").handlers = captures
    logging.captureWarnings(False)
    structlog.reset_defaults()


@pytest.mark.usefixtures("own_logging")
def test_configure_writes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Our own line, lines of libraries and an uncaught exception, in this process."""
    logs.configure("info", "web")

    structlog.get_logger("databricks_app.ingest.receiver").info("ours", number=1)
    logging.getLogger("gunicorn.error").error("Worker %s", 17, exc_info=ValueError(SECRET))
    logging.getLogger("gunicorn.error").error(ValueError(SECRET))
    logging.getLogger("gunicorn.error").error("%(who)s", {"who": SECRET})
    logging.getLogger("werkzeug").error("%d", SECRET)
    try:
        raise KeyError(SECRET)
    except KeyError as error:
        sys.excepthook(KeyError, error, error.__traceback__)
    thread = threading.Thread(target=sys.exit)
    thread.start()
    thread.join()

    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in err.splitlines()]
    assert out == ""
    assert [line["event"] for line in lines] == ["ours", *["library_message"] * 4, "uncaught"]
    assert [line.get("error") for line in lines[:2]] == [None, "ValueError"]
    assert lines[-1]["error"] == "KeyError"
    assert SECRET not in err
