#!/usr/bin/env python3
"""Set up a reporting webhook: the same as `ciolake webhooks setup`."""

from __future__ import annotations

from databricks_app.cli.webhooks_setup import setup_

if __name__ == "__main__":
    setup_.main(prog_name="setup_webhook.py")
