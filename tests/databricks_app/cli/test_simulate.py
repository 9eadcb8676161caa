"""`ciolake simulate` sends signed traffic and prints exactly what was acknowledged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from core.webhooks import specification
from core.webhooks.sender import NoAnswer, PostResponse
from core.webhooks.signature import SigningKey
from databricks_app.cli.simulate import _PlainProgress, _progress, _report, simulate
from databricks_app.simulator.load_generator import GeneratorCounts
from tests.support.loopback_receiver import LoopbackReceiver, unused_destination


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in an empty folder with nothing configured."""
    monkeypatch.chdir(tmp_path)
    for name in ("PORT", "DATABRICKS_APP_PORT", "DATABRICKS_APP_NAME"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str, key: str = "loopback-key") -> Result:
    """Run the command with this key."""
    return CliRunner().invoke(simulate, arguments, env={"CIO_WEBHOOK_SIGNING_KEYS": key})


def test_simulate_sends_what_was_asked_for_and_reports_it(tmp_path: Path) -> None:
    """Each acknowledged event is a line of the file and a body at the receiver."""
    with LoopbackReceiver() as receiver:
        result = run("--count", "120", "--url", receiver.url, "--acknowledged", "acknowledged")

    lines = [json.loads(line) for line in (tmp_path / "acknowledged").read_text().splitlines()]
    received = [json.loads(body) for body in receiver.bodies]
    names = ("event_id", "object_type", "metric", "timestamp")
    expected = [{name: event.get(name) for name in names} for event in received]
    assert result.exit_code == 0
    assert "120 acknowledged" in result.stdout
    assert "0 never acknowledged" in result.stdout
    assert "200 120" in result.stdout
    assert sorted(lines, key=str) == sorted(expected, key=str)


def test_simulate_every_kind_sends_every_kind() -> None:
    """All pairs of object type and metric that the facts know arrive."""
    with LoopbackReceiver() as receiver:
        result = run("--count", "150", "--every-kind", "--url", receiver.url)

    events = [json.loads(body) for body in receiver.bodies]
    kinds = {(event.get("object_type"), event["metric"]) for event in events}
    assert result.exit_code == 0
    assert {(kind.object_type, kind.metric) for kind in specification.events()} <= kinds


def test_simulate_is_repeatable() -> None:
    """The same seed and end send the same events, late and repeated ones included."""
    arguments = (
        *("--count", "60", "--seed", "5", "--until", "2026-11-22T12:00:00", "--days", "2"),
        *("--late", "0.1", "--repeat", "0.2", "--concurrency", "1", "--first-only"),
    )
    bodies = []
    for _ in range(2):
        with LoopbackReceiver() as receiver:
            run(*arguments, "--url", receiver.url)
        bodies.append(receiver.bodies)

    assert bodies[0] == bodies[1]
    assert len(bodies[0]) > len({json.loads(body)["event_id"] for body in bodies[0]}) == 60


def test_simulate_tries_again_until_all_are_acknowledged() -> None:
    """A receiver that answers 503 for a while loses nothing."""
    with LoopbackReceiver(status=lambda number: 503 if number < 3 else 200) as receiver:
        result = run("--count", "10", "--url", receiver.url)

    assert result.exit_code == 0
    assert "503 3" in result.stdout
    assert "3 again" in result.stdout


def test_simulate_exits_with_1_where_an_event_was_never_acknowledged() -> None:
    """Without retries a refused event is lost, and the reason is explained."""
    with LoopbackReceiver(status=lambda number: 503 if number < 3 else 200) as receiver:
        result = run("--count", "10", "--no-retry", "--rate", "2000", "--url", receiver.url)

    assert result.exit_code == 1
    assert "7 acknowledged" in result.stdout
    assert "3 never acknowledged" in result.stdout
    assert "inbox" in result.stderr


def test_simulate_with_a_wrong_key_stops_early() -> None:
    """Twenty refusals and no success end the run, with advice that does not show the key."""
    with LoopbackReceiver() as receiver:
        result = run("--count", "5000", "--url", receiver.url, key="wrong-secret")

    assert result.exit_code == 1
    assert "Stopped early" in result.stderr
    assert "539e915a" in result.stderr
    assert "wrong-secret" not in result.output
    assert len(receiver.paths) < 100


def test_simulate_without_a_receiver_asks_whether_it_is_running() -> None:
    """A refused connection is tried for as long as was asked for, then explained."""
    result = run("--count", "2", "--give-up", "0", "--url", unused_destination().url)

    assert result.exit_code == 1
    assert "refused 2" in result.stdout
    assert "ciolake serve" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--every-kind", "--count", "5"), "at least"),
        (("--late", "2"), "late"),
        (("--url", "somewhere"), "http"),
    ],
)
def test_simulate_explains_a_mistake_in_the_command(arguments: tuple[str, ...], words: str) -> None:
    """A usage error exits with 2 before anything is sent."""
    result = run(*arguments)

    assert result.exit_code == 2
    assert words in result.stderr


def test_report_of_an_interrupted_run_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """What was acknowledged before Ctrl-C is printed."""
    _report(
        GeneratorCounts(acknowledged=3, seconds=2, is_interrupted=True), SigningKey.from_text("k")
    )

    printed = capsys.readouterr().out
    assert printed.startswith("Interrupted")
    assert "3 acknowledged in 2.0 s" in printed


def test_plain_progress_speaks_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is no terminal, a line now and then shows that it lives."""
    say = _PlainProgress()

    for seconds in range(12):
        say(GeneratorCounts(acknowledged=seconds * 10, seconds=seconds))

    assert capsys.readouterr().out.splitlines() == [
        "50 acknowledged after 5 s",
        "100 acknowledged after 10 s",
    ]


def test_plain_progress_says_what_fails_at_the_moment(capsys: pytest.CaptureFixture[str]) -> None:
    """A wait for a receiver that is not there prints a message."""
    counts = GeneratorCounts(seconds=6, last_failure=NoAnswer("refused"), is_failing=True)

    _PlainProgress()(counts)

    assert capsys.readouterr().out == (
        "0 acknowledged after 6 s, now failing: no answer: refused\n"
    )


def test_progress_on_a_terminal_is_a_bar() -> None:
    """A terminal shows how many of all are done."""
    console = Console(force_terminal=True, record=True, width=100)

    with _progress(200, console) as watch:
        watch(GeneratorCounts(acknowledged=40, given_up=10, seconds=1))

    assert "50/200" in console.export_text()


def test_progress_on_a_terminal_shows_what_fails() -> None:
    """The rate gives way to the trouble."""
    console = Console(force_terminal=True, record=True, width=100)
    failure = PostResponse(503, "", 0.1)

    with _progress(200, console) as watch:
        watch(GeneratorCounts(seconds=1, last_failure=failure, is_failing=True))

    assert "answered 503" in console.export_text()
