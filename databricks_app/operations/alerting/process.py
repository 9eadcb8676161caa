"""The alerting process: reads the counts of all processes and posts alerts to CIO_ALERT_URL.

`ciolake serve` runs it as a separate process, so that a slow alert URL slows nothing else. An
alert is one JSON POST when it begins and one when it ends:
`{"service", "alert", "state", "at", "text"}`. A file in the data folder lists the alerts that are
firing, so that a restart does not post them again.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
import urllib.request
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from socket import gethostname
from typing import Any

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample as MetricSample

from databricks_app.databricks.call_timeout import CallTimeout
from databricks_app.errors import LakeError, SettingsError
from databricks_app.ingest.inbox import Pending, local_reader
from databricks_app.ingest.refusals import REASONS
from databricks_app.ingest.signature_diagnosis import SignatureDiagnosis
from databricks_app.ingest.stale_timestamps import StaleTimestamps
from databricks_app.ingest.verified_keys import VerifiedKeys
from databricks_app.ingest.warnings import stale_advice
from databricks_app.operations.alerting import history
from databricks_app.operations.alerting.rules import AlertChange, AlertLimits, AlertRules, Sample
from databricks_app.operations.certificate import CertificateState, CertificateWatch, look
from databricks_app.operations.webhooks import destination
from databricks_app.operations.webhooks.destination import URL_VARIABLE
from databricks_app.runtime import freshness, logs, process
from databricks_app.runtime.metrics import Metrics
from databricks_app.runtime.shared_marks import SharedMarks
from databricks_app.runtime.status import WarehouseStatus, over_ceiling, read, run_dir
from databricks_app.settings import Settings, environment, from_environment

_POST_SECONDS = 5.0
_MOST_WAITING = 100
_STATE = "alerts.json"
_VOLUME_SECONDS = 60.0
_CERTIFICATE_SECONDS = 15.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class AlertingProcess:
    """Takes samples, applies the rules and posts changes.

    Attributes:
        sample: Reads the current numbers.
        post: Sends one change; raises OSError if it fails.
        state: File that lists the alerts that are firing.
        rules: The rules, with their history.
        run_folder: Keeps the history across a reload; None: it is not kept.
    """

    sample: Callable[[], Sample]
    post: Callable[[AlertChange], None]
    state: Path
    rules: AlertRules = field(default_factory=AlertRules)
    run_folder: Path | None = None
    _waiting: deque[AlertChange] = field(default_factory=lambda: deque(maxlen=_MOST_WAITING))

    def begin(self) -> None:
        """Read which alerts were firing before, and the history of the process before a reload."""
        if self.run_folder is not None and (found := history.take(self.run_folder)) is not None:
            self.rules.history, waiting = found
            self._waiting.extend(waiting)
        try:
            self.rules.firing.update(json.loads(self.state.read_text()))
        except (OSError, ValueError, TypeError):
            self.rules.firing.clear()

    def look(self) -> None:
        """Take a sample and post changes; a change that cannot be sent is sent the next time."""
        changes = self.rules.observe(self.sample())
        self._waiting.extend(changes)
        for change in changes:
            log.warning("alert", alert=change.alert, state=change.state, text=change.text)
        while self._waiting:
            try:
                self.post(self._waiting[0])
            except OSError as error:
                log.warning("alert_not_delivered", error=type(error).__name__)
                break
            self._waiting.popleft()
        if changes:
            self._save()

    def end(self) -> None:
        """Keep the history for the next process of this receiver."""
        if self.run_folder is None:
            return
        try:
            history.save(self.run_folder, self.rules, self._waiting)
        except OSError as error:
            log.warning("alerts_not_kept", error=type(error).__name__)

    def _save(self) -> None:
        made = self.state.with_suffix(".new")
        try:
            made.write_text(json.dumps(self.rules.firing))
            made.replace(self.state)
        except OSError as error:
            log.warning("alerts_not_kept", error=type(error).__name__)


def sample(
    registry: CollectorRegistry,
    waiting: Pending,
    now: float,
    verified: VerifiedKeys | None = None,
    stale: StaleTimestamps | None = None,
    diagnosis: SignatureDiagnosis | None = None,
    certificate: CertificateWatch | None = None,
    warehouse: WarehouseStatus | None = None,
) -> Sample:
    """Build a sample from the metrics of all processes and the state of the inbox.

    Args:
        registry: Totals of all processes.
        waiting: Events in the inbox.
        now: Unix seconds.
        verified: Which keys have verified requests of Customer.io; None: nothing is known.
        stale: How stale requests are treated; None: nothing is known.
        diagnosis: Why signatures failed lately; None: nothing is known.
        certificate: The certificate of the public endpoint; None: there is none, or it is unknown.
        warehouse: What the loader says about the warehouse; None: there is none, or it is unknown.
    """
    known: dict[str, Any] = {}
    if verified is not None:
        known["keys"] = tuple(verified.times())
        known["suspects"] = verified.suspect(now)
    if diagnosis is not None:
        known["signature_faults"] = diagnosis.recent(now)
    if stale is not None:
        known["stale_advice"] = stale_advice(stale.policy, stale.expects_stale(now))
    if certificate is not None:
        known["certificate"] = certificate.problem(now)
    if warehouse is not None:
        known["stall_seconds"] = warehouse.wait_seconds + freshness.STALL_SECONDS
        known["warehouse"] = _sentence(over_ceiling(warehouse)) if warehouse.is_over_ceiling else ""
    refusals = defaultdict[str, float](float)
    for one in _samples(registry, "ciolake_rejected_requests_total"):
        refusals[one.labels["reason"]] += one.value
    oldest = 0.0 if waiting.oldest_at is None else max(0.0, now - waiting.oldest_at.timestamp())
    return Sample(
        at=now,
        accepted=_sum(registry, "ciolake_accepted_events_total"),
        unrouted=_sum(registry, "ciolake_unrouted_events_total"),
        stale=_sum(registry, "ciolake_stale_timestamp_age_seconds_count"),
        wrong_signatures=refusals["wrong_signature"],
        refusals=dict(refusals),
        pending_events=waiting.events,
        oldest_pending_seconds=oldest,
        **known,
    )


def post(url: str, change: AlertChange) -> None:
    """Post a change as JSON.

    Raises:
        OSError: The request failed, or the answer is not 2xx.
    """
    content = asdict(change) | {
        "service": f"ciolake on {gethostname()}",
        "at": datetime.fromtimestamp(change.at, UTC).isoformat(),
    }
    request = urllib.request.Request(  # noqa: S310  # the setting allows only http and https
        url, json.dumps(content).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=_POST_SECONDS):  # noqa: S310  # the same
        return


def counting(
    settings: Settings, variables: Mapping[str, str], closing: ExitStack
) -> Callable[[], Pending]:
    """Return a function that counts the events in the inbox.

    For a volume the count may be a minute old, because it takes a listing of the volume.

    Args:
        settings: Choose the inbox.
        variables: The environment, with the address of the workspace.
        closing: Closes the connections to it.

    Raises:
        SettingsError: The address of the workspace is not valid.
    """
    if settings.inbox == "local":
        return partial(local_reader.pending, settings.inbox_dir)
    from databricks_app.databricks import workspace
    from databricks_app.ingest.inbox import volume_reader

    joined = workspace.connect(variables, connections=1)
    closing.callback(joined.close)
    count = partial(volume_reader.pending, joined, settings.volume_path)
    return volume_reader.PendingWatch(count, seconds=_VOLUME_SECONDS)


def certificate_watch(variables: Mapping[str, str]) -> CertificateWatch | None:
    """Return the watch of the certificate of CIO_RELAY_URL; None if that is not an https URL."""
    url = variables.get(URL_VARIABLE)
    if not url:
        return None
    try:
        there = destination.parse(url)
    except SettingsError as error:
        log.warning("certificate_not_checked", problem=f"{URL_VARIABLE}: {error}")
        return None
    if not there.is_tls:
        return None
    timeout = CallTimeout(call_seconds=_CERTIFICATE_SECONDS)

    def read(now: float) -> CertificateState | None:
        try:
            return timeout.run(lambda: look(there.host, there.port, now), "the certificate")
        except LakeError:
            return None  # the name is not resolved in time

    return CertificateWatch(there.host, read)


def main() -> int:
    """Run the alerting process until SIGTERM."""
    process.begin()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    variables = environment()
    settings = from_environment(variables)
    logs.configure(settings.log_level, "alerting")
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    metrics = Metrics()
    marks = SharedMarks(run_dir())
    keys = settings.signing_keys or ()
    verified = VerifiedKeys(keys, settings.workspaces, marks)
    diagnosis = SignatureDiagnosis(keys, verified, marks)
    stale = StaleTimestamps(settings.stale_timestamps, marks)
    certificate = certificate_watch(variables)
    with ExitStack() as closing:
        count = counting(settings, variables, closing)
        alerting = AlertingProcess(
            sample=lambda: sample(
                metrics.totals(),
                count(),
                time.time(),
                verified,
                stale,
                diagnosis,
                certificate,
                None if (loader := read(run_dir())) is None else loader.warehouse,
            ),
            post=lambda change: post(settings.alert_url, change),
            state=settings.data_dir / _STATE,
            run_folder=run_dir(),
            rules=AlertRules(
                AlertLimits(backlog_seconds=freshness.stall_seconds(settings)),
                advice={reason: known.advice for reason, known in REASONS.items()},
            ),
        )
        alerting.begin()
        while not stopping.wait(settings.alert_look_seconds):
            alerting.look()
        alerting.end()
    return 0


def _sentence(problem: str) -> str:
    return f"{problem[0].upper()}{problem[1:]}."


def _sum(registry: CollectorRegistry, name: str) -> float:
    return sum(one.value for one in _samples(registry, name))


def _samples(registry: CollectorRegistry, name: str) -> Iterator[MetricSample]:
    for metric in registry.collect():
        yield from (one for one in metric.samples if one.name == name)


if __name__ == "__main__":
    sys.exit(main())
