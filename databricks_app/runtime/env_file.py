"""What is made on this machine and kept in the local `.env` file."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from databricks_app.settings import ENV_FILE

DEVELOPMENT = "dev_"
"""How a development key begins: Customer.io does not know it."""


def make_development_key(env_file: Path = ENV_FILE) -> str:
    """Add a random signing key to the `.env` file, readable by its owner alone, and return it."""
    key = DEVELOPMENT + secrets.token_hex(16)
    _add(
        env_file,
        "# Made for development on this machine. Put Customer.io's key here instead.\n"
        f"CIO_WEBHOOK_SIGNING_KEYS={key}\n",
    )
    return key


def make_admin_token(env_file: Path = ENV_FILE) -> str:
    """Add a random admin token to the `.env` file in the same way, and return it."""
    token = secrets.token_hex(16)
    _add(
        env_file,
        "# Made on this machine: shows /metrics and the detail of /readyz.\n"
        f"CIO_ADMIN_TOKEN={token}\n",
    )
    return token


def _add(env_file: Path, lines: str) -> None:
    descriptor = os.open(env_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(("\n" if file.tell() else "") + lines)
