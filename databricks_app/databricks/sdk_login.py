"""Login with databricks-sdk, for all kinds of login that need more than HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from databricks_app.databricks.token import Token
from databricks_app.errors import TokenError

_REFRESH_SECONDS = 60.0


def from_sdk(host: str) -> Callable[[], Token]:
    """Return a function that gets tokens from the SDK, which renews them by itself."""
    config: Any = None

    def fetch() -> Token:
        nonlocal config
        try:
            if config is None:
                # Imported here: it takes about two seconds. `Tokens` calls this in its thread,
                # because token calls of the SDK have no time limit.
                from databricks.sdk.config import Config

                config = Config(host=host)
            headers = config.authenticate()
        except ImportError:
            raise TokenError(
                "set DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET, or DATABRICKS_TOKEN; any "
                "other kind of login needs databricks-sdk"
            ) from None
        except Exception as error:  # noqa: BLE001  # many types, whose texts quote settings
            raise TokenError(
                f"databricks-sdk cannot log in ({type(error).__name__}): set "
                "DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET"
            ) from None
        text = str(headers.get("Authorization", "")).removeprefix("Bearer ")
        return Token(text, refresh_at=time.monotonic() + _REFRESH_SECONDS)

    return fetch
