"""The default transport: kept-alive connections, certificates, the proxy of the environment."""

from __future__ import annotations

import ssl
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

_LIMITS = httpx2.Limits(max_connections=32, max_keepalive_connections=16, keepalive_expiry=30.0)


def default_transport(base_url: str) -> httpx2.BaseTransport:
    """Create a transport that keeps connections open and uses the proxy of the environment."""
    parts = urlsplit(base_url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and proxy_bypass(parts.hostname or ""):
        proxy = None
    # Reading the certificates takes tens of milliseconds and 1 MB of memory. Plain http (a server
    # on loopback) needs none, and without certificates a redirect to https fails, as it must.
    is_plain = parts.scheme == "http"
    verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if is_plain else True
    return httpx2.HTTPTransport(verify=verify, limits=_LIMITS, proxy=proxy)
