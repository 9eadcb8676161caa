"""The real nginx and Caddy, with the files of `examples/` and other addresses."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.harness.process_table import wait_until
from tests.support.paths import ROOT

PROXIES = ("nginx", "caddy")
_UPSTREAM = "127.0.0.1:8000"
_STOP_SECONDS = 10.0

_NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/ciolake.conf;
}}
"""
_CADDY = "{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n}\n"


def free_port() -> int:
    """Return a port on which nothing listens now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def proxy(name: str, folder: Path, upstream: int) -> Iterator[tuple[str, int]]:
    """Run a proxy in front of a port; yields its address. Skips where it is not installed."""
    program = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        package = "nginx-light" if name == "nginx" else "caddy"
        pytest.skip(f"{name} (Debian: {package}) is missing")
    folder.mkdir()
    port = free_port()
    command = _nginx(folder, port, upstream) if name == "nginx" else _caddy(folder, port, upstream)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, *command],
            env=os.environ
            | dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(folder)),
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: _listens(port) or process.poll() is not None)
        assert process.poll() is None, (folder / "log").read_text()
        yield "127.0.0.1", port
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _nginx(folder: Path, port: int, upstream: int) -> list[str]:
    text = _replaced(
        (ROOT / "examples/nginx/ciolake.conf").read_text(),
        {"listen 443 ssl;": f"listen 127.0.0.1:{port};", _UPSTREAM: f"127.0.0.1:{upstream}"},
    )
    lines = [line for line in text.splitlines() if "ssl_certificate" not in line]
    (folder / "ciolake.conf").write_text("\n".join(lines))
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder))
    return ["-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def _caddy(folder: Path, port: int, upstream: int) -> list[str]:
    text = _replaced(
        (ROOT / "examples/caddy/Caddyfile").read_text(),
        {"webhooks.example.com {": f"http://:{port} {{", _UPSTREAM: f"127.0.0.1:{upstream}"},
    )
    (folder / "Caddyfile").write_text(_CADDY + text)
    return ["run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


def _replaced(text: str, pairs: dict[str, str]) -> str:
    for old, new in pairs.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True
