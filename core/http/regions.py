"""The hosts of Customer.io, and the rule to which hosts a key may be sent.

The only module that contains host names. Pure.
Source: https://docs.customer.io/integrations/api/app/ and https://docs.customer.io/integrations/api/cdp/
"""

from __future__ import annotations

import re
from typing import Literal, get_args
from urllib.parse import urlsplit

from core.errors import ConfigurationError

Region = Literal["us", "eu"]
Service = Literal["app", "pipelines"]

HOSTS: dict[Service, dict[Region, str]] = {
    "app": {"us": "https://api.customer.io", "eu": "https://api-eu.customer.io"},
    "pipelines": {"us": "https://cdp.customer.io", "eu": "https://cdp-eu.customer.io"},
}


def base_url(service: Service, region: str) -> str:
    """Return the base URL of a service, without `/v1`.

    Raises:
        ConfigurationError: The region does not exist.
    """
    for known in get_args(Region):
        if region == known:
            return HOSTS[service][known]
    raise ConfigurationError(f"region: must be one of {', '.join(get_args(Region))}")


def checked_base_url(url: str) -> str:
    """Return a base URL given by the caller, without a trailing slash.

    Raises:
        ConfigurationError: It is not a plain http or https URL, or ends in `/v1`.
    """
    try:
        parts = urlsplit(url.strip())
        _ = parts.port  # raises ValueError if it is not a number
    except ValueError as error:
        raise ConfigurationError("base_url: is not a valid URL") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError("base_url: must begin with https:// or http:// and name a host")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError("base_url: must not contain a user name, a query or a fragment")
    if re.search(r"/v1/*$", parts.path):
        raise ConfigurationError("base_url: must not include /v1")
    return url.strip().rstrip("/")


def may_see_key(url: str) -> bool:
    """Whether a redirect to this URL may be followed with the key.

    Only https on port 443 of `customer.io` and its subdomains.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    # The dot in the suffix is essential: `evilcustomer.io` is another domain.
    host = (parts.hostname or "").lower()
    is_vendor = host == "customer.io" or host.endswith(".customer.io")
    return is_vendor and parts.scheme == "https" and port in (None, 443) and "@" not in parts.netloc
