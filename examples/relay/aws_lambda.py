"""The relay as an AWS Lambda function behind a function URL; the handler is `aws_lambda.handler`.

Translates the event (payload format 2.0) to WSGI and back.
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
"""

from __future__ import annotations

import base64
import io
from typing import Any
from urllib.parse import unquote

from databricks_app.relay.app import create_relay

# At the start of the function, before the first request: the relay fetches its token meanwhile.
relay = create_relay()


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer one request."""
    said: dict[str, Any] = {}

    def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> Any:
        said["statusCode"] = int(status.partition(" ")[0])
        said["headers"] = dict(headers)

    said["body"] = b"".join(relay(environ(event), start_response)).decode()
    return said


def environ(event: dict[str, Any]) -> dict[str, Any]:
    """Return the WSGI environ of a request."""
    text = event.get("body") or ""
    # The host passes JSON as text. Bytes that are not UTF-8 are lost, and the signature is wrong.
    encoded = event.get("isBase64Encoded")
    body = base64.b64decode(text) if encoded else text.encode("utf-8", "surrogatepass")
    found = {
        "REQUEST_METHOD": event["requestContext"]["http"]["method"],
        "PATH_INFO": unquote(event["rawPath"], "latin-1"),
        "wsgi.input": io.BytesIO(body),
    }
    for name, value in event["headers"].items():
        key = name.upper().replace("-", "_")
        found[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    return found | {"CONTENT_LENGTH": str(len(body))}
