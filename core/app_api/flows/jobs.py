"""Wait for exports and imports, and save an export to a file.

    export = client.exports.customers({"filters": {"segment": {"id": 7}}})["export"]
    jobs.save(client, export["id"], Path("people.csv"))

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

import json
import os
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from core.app_api.flows.waiting import Polling, Progress, wait
from core.errors import ForbiddenError, JobFailedError, ResponseError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.app_api import AppClient
    from core.app_api.types.exports import Export
    from core.app_api.types.imports import Import
    from core.http.responses import Response

# States of an import that is not finished. The vendor publishes no list of the states.
_UNFINISHED = frozenset({"", "pending", "queued", "scheduled", "preprocessing", "processing"})
_MAX_URLS = 3


def exported(
    client: AppClient,
    export_id: int,
    *,
    polling: Polling | None = None,
    on_progress: Progress[Export] | None = None,
) -> Export:
    """Wait for an export.

    Raises:
        JobFailedError: The export failed at Customer.io.
        WaitTimeoutError: It was not finished within the timeout.
        CallError: Its state could not be read.
    """
    export = wait(
        lambda: client.exports.get(export_id)["export"],
        lambda state: bool(state.get("failed")) or state.get("status") in ("done", "failed"),
        polling or Polling(),
        on_progress,
    )
    if export.get("failed") or export.get("status") == "failed":
        raise JobFailedError(f"export {export_id} failed at Customer.io: start a new export")
    return export


def imported(
    client: AppClient,
    import_id: int,
    *,
    polling: Polling | None = None,
    on_progress: Progress[Import] | None = None,
) -> Import:
    """Wait for an import. Rows that failed are at its `error_download_url`.

    Raises:
        JobFailedError: The whole import failed.
        WaitTimeoutError: It was not finished within the timeout.
        CallError: Its state could not be read.
    """

    def is_over(state: Import) -> bool:
        rows = state.get("rows_to_import")
        is_complete = bool(rows) and rows == state.get("rows_imported")
        is_finished = state.get("state", "") not in _UNFINISHED
        return bool(state.get("error")) or is_complete or is_finished

    final = wait(
        lambda: client.imports.get(import_id)["import"],
        is_over,
        polling or Polling(),
        on_progress,
    )
    if final.get("error"):
        raise JobFailedError(
            f"import {import_id} failed at Customer.io: `client.imports.get` shows the error"
        )
    return final


def save(
    client: AppClient,
    export_id: int,
    path: Path,
    *,
    polling: Polling | None = None,
    on_progress: Progress[Export] | None = None,
) -> Path:
    """Wait for an export and save it to a file. Call it again after any failure.

    An incomplete download stays beside the file as `<name>.part`. The next call continues it if the
    export has not changed. The file gets its name when it is complete and synced to disk.

    Raises:
        JobFailedError: The export failed at Customer.io.
        ResponseError: The download is incomplete or damaged; it was removed.
        WaitTimeoutError: The export was not finished within the timeout.
        CallError: A call failed.
        OSError: The file cannot be written.
    """
    exported(client, export_id, polling=polling, on_progress=on_progress)
    part = path.with_name(f"{path.name}.part")
    note = path.with_name(f"{path.name}.part.json")
    for attempts_left in reversed(range(_MAX_URLS)):
        try:
            offset, answer = _fetch(client, export_id, part, note)
            break
        except ForbiddenError:
            # The signed URL has expired: the next attempt gets a new one.
            if not attempts_left:
                raise
    try:
        _require_complete(part, offset, answer)
    except ResponseError:
        part.unlink()
        raise
    finally:
        note.unlink(missing_ok=True)
    part.replace(path)
    return path


def _fetch(client: AppClient, export_id: int, part: Path, note: Path) -> tuple[int, Response]:
    """Download the missing part; return the offset of its first byte, and the answer."""
    offset, etag = 0, ""
    # A missing or unreadable note means that there is nothing to continue.
    with suppress(OSError, ValueError, KeyError, TypeError):
        noted = json.loads(note.read_text())
        if noted["export"] == export_id and noted["etag"]:
            offset, etag = part.stat().st_size, str(noted["etag"])
    url = client.exports.download(export_id)["url"]

    def write_note(headers: Mapping[str, str]) -> None:
        note.write_text(json.dumps({"export": export_id, "etag": headers.get("etag", "")}))

    with part.open("r+b" if offset else "wb") as file:
        answer = client.download(url, file, offset=offset, if_range=etag, on_answer=write_note)
        file.flush()
        os.fsync(file.fileno())
    return offset, answer


def _require_complete(part: Path, offset: int, answer: Response) -> None:
    start = offset if answer.status == 206 else 0
    size = part.stat().st_size - start
    expected = answer.headers.get("content-length", "")
    # With a content encoding, the header is the size of the compressed bytes.
    is_encoded = "content-encoding" in answer.headers
    if expected.isdigit() and not is_encoded and size != int(expected):
        raise ResponseError(
            f"download: {size} of {expected} bytes arrived. Call `save` again.",
            operation="download",
            attempts=1,
        )
    if zipfile.is_zipfile(part):
        with zipfile.ZipFile(part) as packed:
            damaged = packed.testzip()
        if damaged is not None:
            raise ResponseError("download: the archive is damaged. Call `save` again.")
