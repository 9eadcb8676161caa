"""Where signing keys are kept: the file `.env`, or a secret of Databricks.

Keys go in and out as texts; none appears in an error.
"""

from __future__ import annotations

import base64
import io
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dotenv.parser import parse_stream

from core.webhooks.key_form import fault_of_key
from core.webhooks.signature import SigningKey
from databricks_app.errors import ReceiverError
from databricks_app.events.workspaces import DEFAULT
from databricks_app.operations.webhooks.destination import KEY_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from databricks.sdk import WorkspaceClient
    from dotenv.parser import Binding

# What `.env` and a comma-separated list carry without quotes.
_KEY = re.compile(r"[0-9A-Za-z_.:/+=~@^-]{8,512}", re.ASCII)
_DEVELOPMENT = "dev_"
NAMES_VARIABLE = "CIO_WORKSPACES"


class KeyStoreError(ReceiverError):
    """Keys cannot be kept or read there; says why and what to do."""


class KeyStore(Protocol):
    """Where signing keys are kept."""

    def read(self) -> tuple[str, ...]:
        """All of them in their order; those made for development left out."""
        ...

    def put(self, keys: Sequence[str]) -> None:
        """Keep these instead; the first is the newest."""
        ...


class NamedKeyStore(KeyStore, Protocol):
    """Where the receiver's signing keys are kept, and the names of their workspaces."""

    def put_names(self, names: Mapping[str, str]) -> None:
        """Keep the names, by fingerprint."""
        ...


@dataclass(slots=True)
class WorkspaceKeys:
    """The keys of one workspace among those of several.

    Attributes:
        store: Where all of them are kept.
        names: Name by fingerprint, those of retired keys too.
        workspace: Which one.
        on_progress: Gets what was done, a line at a time.
    """

    store: NamedKeyStore
    names: Mapping[str, str]
    workspace: str
    on_progress: Callable[[str], object]

    def read(self) -> tuple[str, ...]:
        """Its keys in their order."""
        return tuple(one for one in self.store.read() if self._is_ours(one))

    def put(self, keys: Sequence[str]) -> None:
        """Keep these instead, beside those of other workspaces, and give new ones the name.

        The name comes first: an event must not be loaded before its key has one.

        Raises:
            KeyStoreError: It cannot be written, or the key is one of another workspace.
        """
        others = [one for one in self.store.read() if not self._is_ours(one) and one not in keys]
        for fingerprint in (SigningKey.from_text(one).fingerprint for one in keys):
            listed = self.names.get(fingerprint)
            if listed is None and self.workspace != DEFAULT:
                names = {**self.names, fingerprint: self.workspace}
                self.store.put_names(names)
                self.names = names
                self.on_progress(f"{NAMES_VARIABLE} lists {self.workspace}:{fingerprint} now")
            elif listed not in (None, self.workspace):
                raise KeyStoreError(f"{NAMES_VARIABLE} lists key {fingerprint} for {listed}")
        self.store.put((*keys, *others))

    def _is_ours(self, key: str) -> bool:
        return self.names.get(SigningKey.from_text(key).fingerprint, DEFAULT) == self.workspace


def checked(text: str) -> str:
    """A key as it was pasted, blanks around it removed.

    Raises:
        KeyStoreError: It cannot be a signing key; the text does not show it.
    """
    key = text.strip()
    fault = fault_of_key(key)
    if fault is not None:
        raise KeyStoreError(f"this is no signing key: it {fault}")
    if not _KEY.fullmatch(key):
        raise KeyStoreError(
            "this is no signing key: 8 to 512 letters, digits and signs without blanks or commas;"
            " copy it from the page Reporting Webhooks in Customer.io"
        )
    return key


@dataclass(frozen=True, slots=True)
class EnvFile:
    """The variable CIO_WEBHOOK_SIGNING_KEYS of a `.env` file, which its owner alone may read.

    Attributes:
        path: Of the file; it is made if it is missing.
        environ: Of the process. What it sets wins over the file, so it must not set the keys.
    """

    path: Path
    environ: Mapping[str, str]

    def read(self) -> tuple[str, ...]:
        """All of them in their order; those made for development left out.

        Raises:
            KeyStoreError: The file cannot be read.
        """
        values = [one.value or "" for one in self._bindings() if one.key == KEY_VARIABLE]
        return _split(values[-1]) if values else ()

    def put(self, keys: Sequence[str]) -> None:
        """Keep these instead: the file is replaced as a whole, all else in it stays.

        Raises:
            KeyStoreError: It cannot be written, or would have no effect.
        """
        self._set(KEY_VARIABLE, ",".join(keys))

    def put_names(self, names: Mapping[str, str]) -> None:
        """Keep the names of workspaces, by fingerprint.

        Raises:
            KeyStoreError: They cannot be written, or would have no effect.
        """
        self._set(NAMES_VARIABLE, ",".join(f"{name}:{key}" for key, name in names.items()))

    def _set(self, variable: str, value: str) -> None:
        if variable in self.environ:
            raise KeyStoreError(
                f"{variable} is set in the environment, which wins over {self.path}: unset it,"
                " or change it where it is set"
            )
        kept = [one.original.string for one in self._bindings() if one.key != variable]
        text = "".join(kept)
        start = "\n" if text and not text.endswith("\n") else ""
        content = f"{text}{start}{variable}={value}\n"
        try:
            _replace(self.path.resolve(), content)
        except OSError as error:
            raise KeyStoreError(f"{self.path} cannot be written ({error.strerror})") from error

    def _bindings(self) -> list[Binding]:
        try:
            text = self.path.read_text("utf-8")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise KeyStoreError(f"{self.path} cannot be read ({error.strerror})") from error
        except UnicodeDecodeError:
            raise KeyStoreError(f"{self.path} is not UTF-8 text") from None
        return list(parse_stream(io.StringIO(text)))


@dataclass(frozen=True, slots=True)
class DatabricksSecret:
    """A secret that a Databricks App gets as CIO_WEBHOOK_SIGNING_KEYS.

    Attributes:
        connect: Makes the client of the workspace.
        scope: Of the secret; it must exist.
        name: Of the secret in the scope.
    """

    connect: Callable[[], WorkspaceClient]
    scope: str
    name: str

    def read(self) -> tuple[str, ...]:
        """All of them in their order; those made for development left out.

        Raises:
            KeyStoreError: The workspace does not give it.
        """
        from databricks.sdk.errors import NotFound
        from databricks.sdk.errors.base import DatabricksError

        try:
            found = self.connect().secrets.get_secret(self.scope, self.name).value
        except NotFound:
            return ()
        except (DatabricksError, ValueError, OSError) as error:
            raise self._failure(error) from None
        return _split(base64.b64decode(found or "").decode())

    def put(self, keys: Sequence[str]) -> None:
        """Keep these instead.

        Raises:
            KeyStoreError: The workspace does not take it.
        """
        from databricks.sdk.errors.base import DatabricksError

        text = ",".join(keys)
        try:
            self.connect().secrets.put_secret(self.scope, self.name, string_value=text)
        except (DatabricksError, ValueError, OSError) as error:
            raise self._failure(error) from None

    def put_names(self, names: Mapping[str, str]) -> None:
        """Refuse: the names are no secret, they are in the settings of the receiver.

        Raises:
            KeyStoreError: Always; says what to set.
        """
        text = ",".join(f"{name}:{key}" for key, name in names.items())
        raise KeyStoreError(
            f"the key is not kept yet: its events would be loaded as {DEFAULT}. First set"
            f" {NAMES_VARIABLE}={text} in app.yaml and bring it into the workspace (`ciolake"
            " deploy`), set it here as well, then run this again"
        )

    def _failure(self, error: Exception) -> KeyStoreError:
        # Its own text is left out: it may quote settings.
        return KeyStoreError(
            f"the workspace refuses the secret {self.scope}/{self.name} ({type(error).__name__}):"
            " the scope must exist and let you read and write (databricks secrets create-scope,"
            " put-acl), and DATABRICKS_HOST with credentials must be set"
        )


def _split(text: str) -> tuple[str, ...]:
    keys = (part.strip() for part in text.split(","))
    return tuple(key for key in keys if key and not key.startswith(_DEVELOPMENT))


def _replace(path: Path, content: str) -> None:
    """Write a file that appears whole or not at all, and that its owner alone may read."""
    descriptor, name = tempfile.mkstemp(prefix=".env-", dir=path.parent)  # with mode 600
    made = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        made.replace(path)
    except BaseException:
        made.unlink(missing_ok=True)
        raise
