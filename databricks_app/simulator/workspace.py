"""The simulated workspace: all state that calls read and change, behind one lock."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from databricks_app.simulator.broadcasts import BroadcastRuns
from databricks_app.simulator.delivery_engine import DeliveryEngine
from databricks_app.simulator.events.sample_workspace import make_person
from databricks_app.simulator.faults import InjectedFaults
from databricks_app.simulator.feeds import Feeds
from databricks_app.simulator.jobs import SimulatedJobs
from databricks_app.simulator.journeys import Journeys
from databricks_app.simulator.people import SimulatedPeople
from databricks_app.simulator.rates import Rates
from databricks_app.simulator.schedule import RetryRules
from databricks_app.simulator.scheduler import Scheduler
from databricks_app.simulator.segments import SimulatedSegments

if TYPE_CHECKING:
    from databricks_app.simulator.clock import SimulatedClock
    from databricks_app.simulator.messages import Json

WORKSPACE_ID = 1
CHANNELS = ("email", "push", "sms", "in_app", "inbox_message", "whatsapp")


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """How a simulation starts.

    Attributes:
        seed: The same seed and the same calls at the same times give the same events and keys.
        people: Number of people at the start.
        rules: How reporting webhooks are sent and retried.
        messages_per_hour: Number of messages that campaigns send without a call.
        has_rate_limits: Whether calls over the documented rates are refused.
    """

    seed: int = 0
    people: int = 100
    rules: RetryRules = field(default_factory=RetryRules)
    messages_per_hour: float = 0.0
    has_rate_limits: bool = True


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of the APIs. They are made from the seed, so they are no secret.

    Attributes:
        app: Key of the App API.
        pipelines: Write key of the Pipelines API.
        private: Key of both APIs, in the form of 2026.
        public: Key of the Pipelines API only, in the form of 2026.
        service_account: Key for sends, together with the header `X-Workspace-Id`.
    """

    app: str
    pipelines: str
    private: str
    public: str
    service_account: str

    @classmethod
    def from_seed(cls, seed: int) -> Keys:
        """Make the keys of a seed."""

        def digits(name: str) -> str:
            return hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()[:32]

        return cls(
            app=digits("app"),
            pipelines=digits("pipelines"),
            private=f"sk_us_{digits('private')}",
            public=f"pk_us_{digits('public')}",
            service_account=f"sa_live_{digits('service account')}",
        )


class SimulatedWorkspace:
    """The whole state of a simulation.

    Attributes:
        lock: Hold it to read or change the state; it is never held while a webhook is posted.
        disabled_channels: Channels whose sends are answered 403.
        objects: The attributes of each object, by its type and id.
        dropped: Why the Pipelines API dropped items that it answered 200, oldest first.
        jobs: Exports and imports.
        suppressions: By kind of ESP suppression, when each address was added, in Unix seconds.
    """

    def __init__(self, options: SimulatorOptions, clock: SimulatedClock) -> None:
        self.options = options
        self.clock = clock
        self.lock = threading.RLock()
        self.keys = Keys.from_seed(options.seed)
        self.scheduler = Scheduler()
        self.feeds = Feeds(options.seed)
        self.people = SimulatedPeople()
        self.segments = SimulatedSegments(self.people)
        self.delivery_engine = DeliveryEngine(options.seed, self.scheduler, self.feeds, self.people)
        self.broadcasts = BroadcastRuns(self.scheduler, self.delivery_engine)
        self.faults = InjectedFaults()
        self.rates = Rates()
        self.disabled_channels: set[str] = set()
        self.objects: dict[tuple[int, str], Json] = {}
        self.dropped: list[str] = []
        self.jobs = SimulatedJobs()
        self.suppressions: dict[str, dict[str, int]] = {}
        self._populate(options.people)
        journeys = Journeys(
            options.seed,
            options.messages_per_hour,
            self.scheduler,
            self.delivery_engine,
            self.people,
        )
        journeys.start(clock.now())

    def next_due(self) -> float | None:
        """Return when the next scheduled call or post is due, in Unix seconds; None: never."""
        head = self.feeds.next_due()
        times = [at for at in (self.scheduler.next_at, head and head[0]) if at is not None]
        return min(times, default=None)

    def _populate(self, count: int) -> None:
        """Add made-up people."""
        random = Random(f"{self.options.seed}/people")  # noqa: S311  # imitates people
        for number in range(count):
            person = make_person(random, number)
            first, last, _ = person.email.partition("@")[0].split(".")
            names = {"first_name": first.title(), "last_name": last.title()}
            self.people.add(person, names, self.clock.now())
