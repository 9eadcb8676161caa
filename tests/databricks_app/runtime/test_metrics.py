"""Metrics: added up over processes, and without text of a sender."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from prometheus_client.parser import text_string_to_metric_families

from databricks_app.runtime.metrics import CONTENT_TYPE, Metrics

COUNT = """
    from databricks_app.runtime.metrics import Metrics
    metrics = Metrics()
    metrics.accepted.labels("651bf3b7").inc(3)
    metrics.stale_age.observe(-301)
    metrics.append.observe(0.002)
    """
SHOW = """
    import sys
    from databricks_app.runtime.metrics import Metrics
    metrics = Metrics()
    print(metrics.stale_total())
    sys.stdout.write(metrics.exposition().decode())
    """


def samples(text: str) -> dict[str, float]:
    """Values by name, of samples without labels or with the label `key`."""
    families = text_string_to_metric_families(text)
    return {
        sample.name: sample.value
        for family in families
        for sample in family.samples
        if set(sample.labels) <= {"key"}
    }


def run(source: str, folder: Path) -> str:
    """Run a process that shares its counts; return its output."""
    done = subprocess.run(
        [sys.executable, "-c", dedent(source)],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_processes_are_added_up(tmp_path: Path) -> None:
    """Any process shows the counts of all, including those that have ended."""
    run(COUNT, tmp_path)
    run(COUNT, tmp_path)

    stale, _, text = run(SHOW, tmp_path).partition("\n")

    shown = samples(text)
    assert float(stale) == 2
    assert shown["ciolake_accepted_events_total"] == 6
    assert shown["ciolake_append_seconds_count"] == 2
    assert shown["ciolake_stale_timestamp_age_seconds_count"] == 2


def test_counts_of_others_are_read_from_their_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that counted nothing shows the counts of the others."""
    run(COUNT, tmp_path)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))

    metrics = Metrics()

    assert metrics.stale_total() == 1
    assert samples(metrics.exposition().decode())["ciolake_accepted_events_total"] == 3


def test_a_single_process_shows_its_own_counts() -> None:
    """Without a shared folder the counts are in memory."""
    metrics = Metrics()
    metrics.accepted.labels("651bf3b7").inc()
    metrics.stale_age.observe(400)

    shown = samples(metrics.exposition().decode())

    assert shown["ciolake_accepted_events_total"] == 1
    assert metrics.stale_total() == 1


def test_two_receivers_in_one_process_do_not_share_counts() -> None:
    """Each has its own registry."""
    Metrics().stale_age.observe(1)

    assert Metrics().stale_total() == 0


def test_every_name_has_our_prefix_and_every_label_is_known() -> None:
    """No label contains text of a sender."""
    registry = Metrics().registry
    families = list(registry.collect())

    assert all(family.name.startswith("ciolake_") for family in families)
    assert all(family.documentation.endswith(".") for family in families)
    labels = {
        label for one in vars(Metrics()).values() for label in getattr(one, "_labelnames", ())
    }
    assert labels == {"key", "reason", "table", "metric", "kind"}


def test_the_content_type_is_that_of_the_text_format() -> None:
    """Prometheus asks for it."""
    assert CONTENT_TYPE.startswith("text/plain; version=")
