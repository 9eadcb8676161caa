"""The stores of signing keys: the file `.env`, or a Databricks secret.

Keys are plain texts here. No error text contains one.
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
from databricks_app.runtime.env_file import DEVELOPMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from databricks.sdk import WorkspaceClient
    from dotenv.parser import Binding

# Characters that need no quotes in `.env` and are no separator in a comma-separated list.
_KEY = re.compile(r"[0-9A-Za-z_.:/+=~@^-]{8,512}", re.ASCII)
NAMES_VARIABLE = "CIO_WORKSPACES"


class KeyStoreError(ReceiverError):
    """Keys cannot be saved or read; the text says why and what to do."""


class KeyStore(Protocol):
    """Stores signing keys."""

    def read(self) -> tuple[str, ...]:
        """Return all keys in order, without development keys."""
        ...

    def put(self, keys: Sequence[str]) -> None:
        """Replace all keys; the first is the newest."""
        ...


class NamedKeyStore(KeyStore, Protocol):
    """Stores the receiver's signing keys and the workspace names of keys."""

    def put_names(self, names: Mapping[str, str]) -> None:
        """Replace the names, by fingerprint."""
        ...


@dataclass(slots=True)
class WorkspaceKeys:
    """The keys of one workspace, in a store with the keys of several.

    Attributes:
        store: Stores the keys of all workspaces.
        names: Workspace name by fingerprint, with those of old keys.
        workspace: Name of this workspace.
        on_progress: Gets a progress message for each change.
    """

    store: NamedKeyStore
    names: Mapping[str, str]
    workspace: str
    on_progress: Callable[[str], object]

    def read(self) -> tuple[str, ...]:
        """Return the keys of this workspace in order."""
        return tuple(one for one in self.store.read() if self._is_ours(one))

    def put(self, keys: Sequence[str]) -> None:
        """Replace the keys of this workspace, and list new ones in CIO_WORKSPACES.

        Raises:
            KeyStoreError: The store cannot be written, or a key belongs to another workspace.
        """
        others = [one for one in self.store.read() if not self._is_ours(one) and one not in keys]
        for fingerprint in (SigningKey.from_text(one).fingerprint for one in keys):
            listed = self.names.get(fingerprint)
            if listed is None and self.workspace != DEFAULT:
                # The name before the key: an event must not be loaded while its key has no name.
                names = {**self.names, fingerprint: self.workspace}
                self.store.put_names(names)
                self.names = names
                self.on_progress(f"added {self.workspace}:{fingerprint} to {NAMES_VARIABLE}")
            elif listed not in (None, self.workspace):
                raise KeyStoreError(
                    f"{NAMES_VARIABLE} lists key {fingerprint} for the workspace {listed}, not for "
                    f"{self.workspace}: correct the entry, or use --workspace {listed}"
                )
        self.store.put((*keys, *others))

    def _is_ours(self, key: str) -> bool:
        return self.names.get(SigningKey.from_text(key).fingerprint, DEFAULT) == self.workspace


def checked(text: str) -> str:
    """Check a key that a user pasted, and remove blanks around it.

    Raises:
        KeyStoreError: It cannot be a signing key; the text does not contain it.
    """
    key = text.strip()
    fault = fault_of_key(key)
    if fault is not None:
        raise KeyStoreError(f"this is no signing key: it {fault}")
    if not _KEY.fullmatch(key):
        raise KeyStoreError(
            "this is not a signing key. A key has 8 to 512 characters, and no blanks or commas."
            " Copy it from the page Reporting Webhooks in Customer.io"
        )
    return key


@dataclass(frozen=True, slots=True)
class EnvFile:
    """The variable CIO_WEBHOOK_SIGNING_KEYS in a `.env` file that only its owner can read.

    Attributes:
        path: Path of the file, which is created if it is missing.
        environ: Environment of the process. It overrides the file, so it must not set the keys.
    """

    path: Path
    environ: Mapping[str, str]

    def read(self) -> tuple[str, ...]:
        """Return all keys in order, without development keys.

        Raises:
            KeyStoreError: The file cannot be read.
        """
        values = [one.value or "" for one in self._bindings() if one.key == KEY_VARIABLE]
        return _split(values[-1]) if values else ()

    def put(self, keys: Sequence[str]) -> None:
        """Replace all keys; the rest of the file stays as it is.

        Raises:
            KeyStoreError: The file cannot be written, or the environment overrides it.
        """
        self._set(KEY_VARIABLE, ",".join(keys))

    def put_names(self, names: Mapping[str, str]) -> None:
        """Replace the workspace names, by fingerprint.

        Raises:
            KeyStoreError: The file cannot be written, or the environment overrides it.
        """
        self._set(NAMES_VARIABLE, ",".join(f"{name}:{key}" for key, name in names.items()))

    def _set(self, variable: str, value: str) -> None:
        if variable in self.environ:
            raise KeyStoreError(
                f"{variable} is set in the environment, which overrides {self.path}: unset it, or"
                " change it there yourself"
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
    """A Databricks secret that an app gets as CIO_WEBHOOK_SIGNING_KEYS.

    Attributes:
        connect: Creates the client of the workspace.
        scope: Secret scope, which must exist.
        name: Name of the secret in the scope.
    """

    connect: Callable[[], WorkspaceClient]
    scope: str
    name: str

    def read(self) -> tuple[str, ...]:
        """Return all keys in order, without development keys.

        Raises:
            KeyStoreError: The secret cannot be read.
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
        """Replace all keys.

        Raises:
            KeyStoreError: The secret cannot be written.
        """
        from databricks.sdk.errors.base import DatabricksError

        text = ",".join(keys)
        try:
            self.connect().secrets.put_secret(self.scope, self.name, string_value=text)
        except (DatabricksError, ValueError, OSError) as error:
            raise self._failure(error) from None

    def put_names(self, names: Mapping[str, str]) -> None:
        """Refuse: names are a setting in app.yaml, not a secret.

        Raises:
            KeyStoreError: Always; the text says what to set.
        """
        text = ",".join(f"{name}:{key}" for key, name in names.items())
        raise KeyStoreError(
            f"the key was not saved, because its events would get the workspace {DEFAULT}. First"
            f" set {NAMES_VARIABLE}={text} in app.yaml, deploy it (`ciolake deploy`), and set it in"
            " this environment as well. Then run this command again"
        )

    def _failure(self, error: Exception) -> KeyStoreError:
        # Without the text of the error, which may quote settings.
        return KeyStoreError(
            f"the workspace refuses access to the secret {self.scope}/{self.name}"
            f" ({type(error).__name__}). The scope must exist, and you need the right to read and"
            " write it (databricks secrets create-scope, put-acl). DATABRICKS_HOST and credentials"
            " must be set"
        )


def _split(text: str) -> tuple[str, ...]:
    keys = (part.strip() for part in text.split(","))
    return tuple(key for key in keys if key and not key.startswith(DEVELOPMENT))


def _replace(path: Path, content: str) -> None:
    """Replace a file atomically; only its owner can read the new one."""
    descriptor, name = tempfile.mkstemp(prefix=".env-", dir=path.parent)  # has mode 600
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
