"""The traffic of `ciolake serve --demo`: two weeks of a workspace, with every kind of event."""

from __future__ import annotations

import sys

from databricks_app.cli.simulate import simulate
from databricks_app.runtime import process

EVENTS = 5_000
_OPTIONS = ("--every-kind", "--days", "14", "--repeat", "0.02", "--late", "0.02", "--rate", "500")


def main() -> None:
    """Send the traffic to the URL in the only argument."""
    process.begin()
    simulate.main(["--count", str(EVENTS), *_OPTIONS, "--url", sys.argv[1]], prog_name="demo")


if __name__ == "__main__":
    main()
