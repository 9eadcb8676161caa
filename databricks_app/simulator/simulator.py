"""A Customer.io that runs on this machine, joined from its parts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from databricks_app.simulator.clock import SimulatedClock
from databricks_app.simulator.dispatch import Answering
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
        workspace: Its state; hold `workspace.lock` to look at more than one thing.
        clock: Its time.
        url: The `base_url` of the clients.
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
        """Listen; nothing is answered and no time passes before `start`.

        Args:
            options: What it starts with.
            host: The address to listen at.
            port: 0: any free one.
            start_at: What its clock says first, in Unix seconds; None: the machine's time.
            speed: Seconds of its clock to each of the machine's; 0: `advance` alone moves it.
            wall: The time of day of the machine, in Unix seconds.

        Raises:
            OSError: The address is taken or not this machine's.
        """
        self.clock = SimulatedClock(wall() if start_at is None else start_at, speed=speed)
        self.workspace = SimulatedWorkspace(options or SimulatorOptions(), self.clock)
        self._driver = Driver(self.workspace, wall=wall)
        self._server = Server(host, port, Answering(self.workspace, self._driver))
        self.url = self._server.url

    def start(self) -> None:
        """Answer, and let time pass."""
        self._driver.start()
        self._server.start()

    def stop(self) -> None:
        """End; a post in flight is waited for."""
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
        """Let so much time pass at once; returns when all that it brings has happened."""
        self._driver.advance(seconds)

    def signing_key(self, webhook_id: int) -> str:
        """The signing key of a webhook, as the vendor shows it on a page only.

        Raises:
            KeyError: There is no such webhook.
        """
        feed = self.workspace.feeds.get(webhook_id)
        if feed is None:
            raise KeyError(webhook_id)
        return feed.key_text

    def test(self, webhook_id: int) -> PostOutcome:
        """Press a webhook's Send Test button; returns what came of it.

        Raises:
            KeyError: There is no such webhook.
        """
        feed = self.workspace.feeds.get(webhook_id)
        if feed is None:
            raise KeyError(webhook_id)
        return self._driver.test(feed)

    def attempts(self, webhook_id: int | None = None) -> list[PostAttempt]:
        """The newest calls of one webhook, or of all, oldest first."""
        with self.workspace.lock:
            every = list(self.workspace.feeds.attempts)
        return [one for one in every if webhook_id in {None, one.webhook_id}]
