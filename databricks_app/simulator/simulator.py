"""A Customer.io that runs on this machine: the server, the workspace and the driver together."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from databricks_app.simulator.clock import SimulatedClock
from databricks_app.simulator.dispatch import Dispatcher
from databricks_app.simulator.driver import Driver
from databricks_app.simulator.server import Server
from databricks_app.simulator.workspace import SimulatedWorkspace, SimulatorOptions

if TYPE_CHECKING:
    from types import TracebackType

    from databricks_app.simulator.feeds import PostAttempt
    from databricks_app.simulator.schedule import PostOutcome


class Simulator:
    """Serves the App API, the Pipelines API and its own interface, and sends reporting webhooks.

    Attributes:
        workspace: Its state; hold `workspace.lock` to read more than one value consistently.
        clock: Its clock.
        url: The `base_url` for the clients.
    """

    def __init__(
        self,
        options: SimulatorOptions | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        start_at: float | None = None,
        speed: float = 1.0,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Listen; requests are answered and events happen only after `start`.

        Args:
            options: How the simulation starts.
            host: The address to listen on.
            port: The port; 0: any free port.
            start_at: First time of its clock, in Unix seconds; None: the machine's time.
            speed: Seconds of its clock per second of the machine; 0: only `advance` moves it.
            wall: Returns the machine's time of day, in Unix seconds.

        Raises:
            OSError: The address is in use or does not belong to this machine.
        """
        self.clock = SimulatedClock(wall() if start_at is None else start_at, speed=speed)
        self.workspace = SimulatedWorkspace(options or SimulatorOptions(), self.clock)
        self._driver = Driver(self.workspace, wall=wall)
        self._server = Server(host, port, Dispatcher(self.workspace, self._driver))
        self.url = self._server.url

    def start(self) -> None:
        """Start answering requests and doing what is due."""
        self._driver.start()
        self._server.start()

    def stop(self) -> None:
        """Stop, after the current post has ended."""
        self._server.stop()
        self._driver.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def advance(self, seconds: float) -> None:
        """Advance the clock at once; returns when everything due by then has happened."""
        self._driver.advance(seconds)

    def signing_key(self, webhook_id: int) -> str:
        """Return the signing key of a webhook. The vendor shows it only in its web interface.

        Raises:
            KeyError: There is no such webhook.
        """
        feed = self.workspace.feeds.get(webhook_id)
        if feed is None:
            raise KeyError(webhook_id)
        return feed.key_text

    def test(self, webhook_id: int) -> PostOutcome:
        """Post a test event, as the Send Test button does; returns the outcome.

        Raises:
            KeyError: There is no such webhook.
        """
        feed = self.workspace.feeds.get(webhook_id)
        if feed is None:
            raise KeyError(webhook_id)
        return self._driver.test(feed)

    def attempts(self, webhook_id: int | None = None) -> list[PostAttempt]:
        """Return the newest calls of one webhook or of all webhooks, oldest first."""
        with self.workspace.lock:
            attempts = list(self.workspace.feeds.attempts)
        return [one for one in attempts if webhook_id in {None, one.webhook_id}]
