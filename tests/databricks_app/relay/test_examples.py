"""The relay's deployment examples are run: their packages are enough, and the handler answers."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.harness.events import event
from benchmarks.harness.wire import signed
from databricks_app.endpoint import WEBHOOK_PATH
from tests.support.paths import ROOT
from tests.support.relay_platform import Platform
from tests.support.spellings import SPELLINGS

EXAMPLES = ROOT / "examples" / "relay"

# Only what these distributions hold can be imported.
_ONLY = """
import sys
from importlib.metadata import packages_distributions
allowed, owners = set(sys.argv[1].split(",")), packages_distributions()

class Blocked:
    def find_spec(self, name, path=None, target=None):
        of = {owner.lower().replace("_", "-") for owner in owners.get(name.partition(".")[0], ())}
        if of and not of & allowed:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocked())
"""

_ASK = """
import json, sys
import aws_lambda
print(json.dumps([aws_lambda.handler(event, None) for event in json.load(sys.stdin)]))
"""


def closure(names: set[str]) -> set[str]:
    """The distributions with all their dependencies."""
    found: set[str] = set()
    left = set(names)
    while left:
        found.add(one := left.pop())
        needed = map(Requirement, requires(one) or ())
        here = {canonicalize_name(need.name) for need in needed if is_needed(need)}
        left |= here - found
    return found


def is_needed(need: Requirement) -> bool:
    """Return whether a dependency is for this system and for no extra."""
    return need.marker is None or need.marker.evaluate({"extra": ""})


def listed(path: Path) -> set[str]:
    """The names in a requirements file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    wanted = (Requirement(line) for line in lines if line and not line.startswith("#"))
    return {str(canonicalize_name(want.name)) for want in wanted}


def installed() -> str:
    """The packages of the image, with the product itself and the coverage tool."""
    return ",".join(closure(listed(EXAMPLES / "requirements.txt")) | {"ciolake", "coverage"})


def asked(platform: Platform, *events: dict[str, Any]) -> list[dict[str, Any]]:
    """The handler's answers to these events, in a process with only the packages of the image."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CIO_")}
    done = subprocess.run(
        [sys.executable, "-c", _ONLY + _ASK, installed()],
        env=environ | platform.variables() | {"PYTHONPATH": str(EXAMPLES)},
        input=json.dumps(events),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def lambda_event(body: bytes, *, is_encoded: bool) -> dict[str, Any]:
    """A signed request as a function URL passes it."""
    headers = {name.lower(): value for name, value in signed(body).items()}
    text = base64.b64encode(body).decode() if is_encoded else body.decode()
    return {
        "version": "2.0",
        "rawPath": WEBHOOK_PATH,
        "rawQueryString": "",
        "headers": headers | {"content-type": "application/json"},
        "requestContext": {"http": {"method": "POST", "path": WEBHOOK_PATH}},
        "body": text,
        "isBase64Encoded": is_encoded,
    }


def test_the_function_forwards_events_to_the_app() -> None:
    """As text and as base64, with only the packages of the example."""
    bodies = [event("1"), '{"name":"Zo\u00eb \U0001f600"}'.encode(), b"\xff\0"]
    with Platform() as platform:
        answers = asked(
            platform,
            lambda_event(bodies[0], is_encoded=False),
            lambda_event(bodies[1], is_encoded=False),
            lambda_event(bodies[2], is_encoded=True),
        )

    assert [answer["statusCode"] for answer in answers] == [200, 200, 200]
    assert [seen.body for seen in platform.seen] == bodies
    assert {seen.headers["content-type"] for seen in platform.seen} == {"application/json"}


def test_the_function_accepts_another_spelling_of_the_path() -> None:
    """The event has the path as it was sent."""
    with Platform() as platform:
        good = lambda_event(b"{}", is_encoded=False)
        answers = asked(
            platform, *(good | {"rawPath": path} for path in (*SPELLINGS, "/api%2Fwebhooks"))
        )

    assert [answer["statusCode"] for answer in answers] == [200] * len(SPELLINGS) + [404]


def test_the_function_answers_other_requests_itself() -> None:
    """A fault of the handler would be a 502, after which Customer.io waits an hour."""
    good = lambda_event(b"{}", is_encoded=False)
    alive = {"rawPath": "/healthz", "headers": {}, "requestContext": {"http": {"method": "GET"}}}
    with Platform() as platform:
        answers = asked(platform, good | {"body": "\ud800"}, good | {"headers": {}}, alive)

    # 503 to a wrong signature: no key is proven yet.
    assert [answer["statusCode"] for answer in answers] == [503, 401, 200]
    assert answers[2]["body"] == "alive\n"
    assert platform.calls == 0


def test_the_image_has_what_its_web_server_imports() -> None:
    """The worker that gunicorn.conf.py names, and the relay."""
    source = f"{_ONLY}\nimport databricks_app.serving.worker, databricks_app.relay.app"

    subprocess.run([sys.executable, "-c", source, installed()], check=True, timeout=60)


def test_the_image_pins_what_it_installs() -> None:
    """Every package has its release in requirements.txt."""
    assert closure(listed(EXAMPLES / "requirements.txt")) <= listed(ROOT / "requirements.txt")


def test_the_image_copies_existing_files() -> None:
    """Each source of a COPY exists and is not excluded from the build."""
    lines = (EXAMPLES / "Dockerfile").read_text(encoding="utf-8").splitlines()
    sources = [line.split()[1] for line in lines if line.startswith("COPY ")]
    allowed = (EXAMPLES / "Dockerfile.dockerignore").read_text(encoding="utf-8").split("\n")
    let_through = tuple(line[1:] for line in allowed if line.startswith("!"))

    assert sources
    assert all((ROOT / source).exists() for source in sources)
    assert all(source.startswith(let_through) for source in sources)
