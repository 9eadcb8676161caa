"""The settings in documents, examples and YAML files exist and have valid values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from core.http.api_key import ApiKey
from core.http.regions import base_url
from databricks_app.errors import SettingsError
from databricks_app.operations.doctor import context
from databricks_app.operations.webhooks.destination import parse
from databricks_app.relay.settings import RELAY_SETTINGS
from databricks_app.runtime.crash_points import CrashPoint
from databricks_app.setting_table import SETTINGS
from databricks_app.setting_values import not_blank

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in (
        "*.md",
        "*.sh",
        "*.toml",
        "*.y*ml",
        ".ci/*",
        ".env.example",
        ".github/**/*",
        "benchmarks/*.md",
        "core/**/*.md",
        "databricks_app/**/*.md",
        "docs/**/*",
        "examples/**/*",
        "sql/**/*.md",
    )
    for path in ROOT.glob(pattern)
    if path.is_file() and path.suffix != ".pyc"
)
SOURCES = sorted((ROOT / "databricks_app").rglob("*.py"))

# The reader of each variable. First those that neither the receiver nor the relay reads.
LIVE = {
    name: not_blank
    for path in (ROOT / "tests" / "live").glob("*.py")
    for name in re.findall('"(CIO_LIVE_[A-Z_]+)"', path.read_text(encoding="utf-8"))
}
READERS: dict[str, Callable[[str], Any]] = {
    **LIVE,
    "CIO_CRASH_POINT": CrashPoint.parse,
    "CIO_LIVE_REGION": partial(base_url, "app"),
    "CIO_PIPELINES_KEY": ApiKey,  # read by the program in docs/pipelines.md
    context.URL_VARIABLE: parse,
    **{
        name: setting.read
        for setting in (*SETTINGS, *RELAY_SETTINGS)
        for name in (setting.name, *setting.also)
    },
}

NAME = r"(?<![A-Za-z0-9_])(?P<name>CIO_[A-Z0-9_]+|DATABRICKS_[A-Z0-9_]+|PORT)(?![A-Za-z0-9_*])"
QUOTED = r"\"[^\"\n]*\"|'[^'\n]*'"
FORMS = (
    # Shell, .env files, Dockerfiles, flags such as --set-env-vars=A=1,B=2, and prose.
    rf"{NAME}=(?P<value>{QUOTED}|<[^<>\n]+>(?=[\s`\"',;.)]|$)|(?:(?!,[A-Z_]+=)[^\s`\"'])*)",
    # ENV NAME value
    rf"^\s*ENV\s+{NAME}[ \t]+(?P<value>{QUOTED}|\S+)",
    # JSON
    rf"\"{NAME}\"\s*:\s*(?P<value>\"[^\"\n]*\")",
)
YAML_FORMS = (
    # - name: NAME, and value: in the next line; commented out, too
    rf"\bname:\s*[\"']?{NAME}[\"']?\s*[,\n][#\s]*value:\s*(?P<value>{QUOTED}|[^\n,}}#]*)",
    # NAME: value
    rf"^[#\s-]*{NAME}:[ \t]+(?P<value>{QUOTED}|[^\n#]*)",
)
PLACEHOLDER = re.compile(r"\.\.\.|<[^<>]+>|\$[A-Za-z_]\w*|\$\{[A-Za-z_]\w*\}")
F_STRING_FIELD = re.compile(r"\{\w+\}(\\n)?")


def assignments(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and value of each setting in a text; values as the program would get them."""
    for form in FORMS:
        for found in re.finditer(form, text, re.MULTILINE):
            value = found["value"]
            if value[:1] in {'"', "'"}:
                yield found["name"], value[1:-1]
            elif PLACEHOLDER.fullmatch(value):
                yield found["name"], value
            else:
                yield found["name"], value.rstrip(".,;:)")
    for form in YAML_FORMS:
        for found in re.finditer(form, text, re.MULTILINE):
            # Without quotes `on` is a truth value of YAML, and reaches the program as `true`.
            value = yaml.safe_load(found["value"])
            yield found["name"], str(value).lower() if isinstance(value, bool) else str(value or "")


def refused(text: str, placeholder: re.Pattern[str] = PLACEHOLDER) -> list[str]:
    """List the settings in a text that do not exist or have a value that is not valid."""
    found = []
    for name, value in assignments(text):
        reader = READERS.get(name)
        if reader is None and not name.startswith("CIO_"):
            continue  # the SDK of Databricks reads more of its variables than we do
        if reader is None:
            found.append(f"{name} is not a setting")
        elif not placeholder.fullmatch(value):
            try:
                reader(value)
            except (ValueError, SettingsError) as error:
                found.append(f"{name}={value}: {error}")
    return found


def test_every_value_in_a_document_is_valid() -> None:
    """A receiver starts with every line that a user can copy from a document."""
    wrong = {
        str(path.relative_to(ROOT)): found
        for path in DOCUMENTS
        if (found := refused(path.read_text(encoding="utf-8")))
    }

    assert wrong == {}


def test_every_setting_in_a_document_exists() -> None:
    """The receiver ignores unknown variables, so a wrong name in a document has no effect."""
    unknown = {}
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        names = {found["name"] for found in re.finditer(NAME, text)} - READERS.keys()
        if wrong := sorted(name for name in names if name.startswith("CIO_")):
            unknown[str(path.relative_to(ROOT))] = wrong

    assert unknown == {}


def test_every_value_in_a_message_is_valid() -> None:
    """Texts of checks, logs and errors; here a value may also be a field of an f-string."""
    placeholder = re.compile(f"{PLACEHOLDER.pattern}|{F_STRING_FIELD.pattern}")
    found = {
        str(path.relative_to(ROOT)): wrong
        for path in SOURCES
        if (wrong := refused(path.read_text(encoding="utf-8"), placeholder))
    }

    assert found == {}


def test_the_documents_are_found() -> None:
    """If a folder moves, the patterns must not find nothing."""
    names = {str(path.relative_to(ROOT)) for path in DOCUMENTS}
    settings = {
        name for path in DOCUMENTS for name, _ in assignments(path.read_text(encoding="utf-8"))
    }

    assert names >= {
        ".env.example",
        "README.md",
        "app.yaml",
        "databricks.yml",
        "docs/first-contact.md",
        "examples/relay/Dockerfile",
    }
    assert settings >= {setting.name for setting in SETTINGS}


# As people write settings in shells, .env files, Dockerfiles, JSON and YAML.
WRONG = (
    "CIO_SIGNATURE_IN_QUERY=true",
    "set `CIO_SIGNATURE_IN_QUERY=true` on the app",
    "export CIO_STORE=local CIO_SIGNATURE_IN_QUERY='true'",
    "# CIO_SIGNATURE_IN_QUERY=true",
    "#CIO_SIGNATURE_IN_QUERY=",
    "docker run -e CIO_SIGNATURE_IN_QUERY=true image",
    "--set-env-vars=CIO_STORE=local,CIO_SIGNATURE_IN_QUERY=true,PORT=80",
    "ENV CIO_STORE=local CIO_SIGNATURE_IN_QUERY=true",
    "ENV CIO_SIGNATURE_IN_QUERY true",
    '{"Variables": {"CIO_SIGNATURE_IN_QUERY": "true"}}',
    'env:\n  - name: CIO_SIGNATURE_IN_QUERY\n    value: "true"',
    "#  - name: CIO_SIGNATURE_IN_QUERY\n#    value: true",
    "- name: CIO_SIGNATURE_IN_QUERY\n  value: on",
    "- {name: CIO_SIGNATURE_IN_QUERY, value: 'true'}",
    "env:\n  CIO_SIGNATURE_IN_QUERY: true",
    "CIO_SIGNATURE_IN_QUERY=<on>true",
    "CIO_SIGNATURE_IN_QUERY=on|off",
    "CIO_SIGNATURE_IN_QUERY=....",
    "CIO_RELAY_SIGNATURE=query",
    "CIO_RELAY_APP_URL=http://app.example.com",
    "CIO_RELAY_URL=relay.example.com:x",
    "CIO_APP_API_KEYS=key",
    "CIO_LIVE_REGION=asia",
    "CIO_REGION=asia",
    "PORT=http",
    "DATABRICKS_HOST=ftp://workspace",
)
# A placeholder is a whole value: `...`, `<...>` or a variable.
RIGHT = (
    "CIO_SIGNATURE_IN_QUERY=on.",
    "(`CIO_SIGNATURE_IN_QUERY=on`)",
    "- name: CIO_SIGNATURE_IN_QUERY\n  value: 'on'",
    "CIO_WEB_WORKERS=<number of cores> ciolake serve",
    "CIO_WEB_WORKERS=... ciolake serve",
    'CIO_WEB_WORKERS="$CORES" ciolake serve',
    "CIO_WEB_WORKERS=${CORES}",
    "CIO_WEBHOOK_SIGNING_KEYS=new,old",
    "DATABRICKS_CONFIG_PROFILE=any",
    "HTTP_X_CIO_SIGNATURE=any",
)


def test_a_wrong_value_is_found_in_every_form() -> None:
    """Each of these texts has exactly one wrong setting."""
    assert [text for text in WRONG if len(refused(text)) != 1] == []


def test_a_valid_value_and_a_placeholder_pass() -> None:
    """None of these texts has a wrong setting."""
    assert {text: found for text in RIGHT if (found := refused(text))} == {}
