"""The Files API over the folders of the volumes.

A put is atomic: a file appears whole or not at all. Of several puts with `overwrite=false` only one
succeeds. Missing parent folders are created, as the platform does for volumes.

Not simulated: multipart and resumable uploads (the double answers that presigned URLs for uploads
are not enabled, and the SDK then sends one put), errors of object stores. The double itself serves
presigned URLs for downloads.
"""

from __future__ import annotations

import base64
import os
import secrets
import threading
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from tests.doubles.messages import Answer, Json, Refused, Request
from tests.doubles.routing import Routes

if TYPE_CHECKING:
    from tests.doubles.workspace.state import Workspace

routes = Routes()
_LARGEST_PAGE = 1000


@routes.on("PUT", "/api/2.0/fs/files/Volumes/{path*}", "files.put")
def put(workspace: Workspace, request: Request) -> Json:
    """Store a file."""
    target = _local(workspace, request)
    if len(request.body) > workspace.limits.file_bytes:
        raise Refused(413, "RESOURCE_EXHAUSTED", "The file is larger than a file may be.")
    if target.is_dir():
        raise _conflict("A directory exists at the path.", "FILES_API_DIRECTORY_ALREADY_EXISTS")
    # Written outside the volume: a temporary file in the folder would appear in listings.
    partial = workspace.partial_dir / f"{threading.get_ident()}-{secrets.token_hex(8)}"
    partial.write_bytes(request.body)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if request.query.get("overwrite", "true").lower() == "false":
            os.link(partial, target)
            partial.unlink()
        else:
            partial.replace(target)
    except FileExistsError:
        partial.unlink(missing_ok=True)
        raise _conflict("The file being created already exists.") from None
    except NotADirectoryError:
        partial.unlink(missing_ok=True)
        raise _conflict("A parent of the path is a file.") from None
    return Answer(204)


@routes.on("GET", "/api/2.0/fs/files/Volumes/{path*}", "files.get")
def get(workspace: Workspace, request: Request) -> Json:
    """Return a file's bytes; supports one `Range` with a start."""
    target = _file(workspace, request)
    try:
        content = target.read_bytes()
        headers = _described(target, len(content))
    except FileNotFoundError:  # it was deleted in the meantime
        raise _missing("file") from None
    wanted = request.headers.get("range", "")
    if not wanted:
        return Answer(200, content, headers)
    start, _, end = wanted.removeprefix("bytes=").partition("-")
    rest = content[int(start) : int(end) + 1 if end else None]
    headers["Content-Length"] = str(len(rest))
    headers["Content-Range"] = f"bytes {start}-{int(start) + len(rest) - 1}/{len(content)}"
    return Answer(206, rest, headers)


@routes.on("HEAD", "/api/2.0/fs/files/Volumes/{path*}", "files.head")
def head(workspace: Workspace, request: Request) -> Json:
    """Return a file's length and time of modification."""
    target = _file(workspace, request)
    return Answer(200, b"", _described(target, target.stat().st_size))


@routes.on("DELETE", "/api/2.0/fs/files/Volumes/{path*}", "files.delete")
def delete(workspace: Workspace, request: Request) -> Json:
    """Delete a file."""
    try:
        _file(workspace, request).unlink()
    except FileNotFoundError:
        raise _missing("file") from None
    return Answer(204)


@routes.on("POST", "/api/2.0/fs/files/Volumes/{path*}", "files.initiate")
def initiate(workspace: Workspace, request: Request) -> Json:
    """Start a multipart upload, which then gets no URLs."""
    _local(workspace, request)
    return {"multipart_upload": {"session_token": secrets.token_hex(8)}}


@routes.on("POST", "/api/2.0/fs/create-upload-part-urls", "files.part_urls")
@routes.on("POST", "/api/2.0/fs/create-abort-upload-url", "files.abort_url")
def no_urls(_workspace: Workspace, _request: Request) -> Json:
    """Answer that presigned uploads are not enabled in this workspace."""
    raise Refused(
        403,
        "PERMISSION_DENIED",
        "Presigned URLs API is not enabled",
        reason="FILES_API_API_IS_NOT_ENABLED",
    )


@routes.on("POST", "/api/2.0/fs/create-download-url", "files.download_url")
def download_url(workspace: Workspace, request: Request) -> Json:
    """Return a presigned URL, which needs no token."""
    path = request.query.get("path", "")
    request.arguments["path"] = path.removeprefix("/Volumes/")
    _file(workspace, request)
    url = f"http://{request.headers['host']}/presigned/{workspace.presigned}{quote(path)}"
    return {"url": url, "headers": []}


@routes.on("GET", "/presigned/{key}/Volumes/{path*}", "files.presigned_get", is_open=True)
def presigned_get(workspace: Workspace, request: Request) -> Json:
    """Return the file of a presigned URL."""
    if request.arguments["key"] != workspace.presigned:
        raise Refused(403, "PERMISSION_DENIED", "Signature mismatch")
    return get(workspace, request)


@routes.on("PUT", "/api/2.0/fs/directories/Volumes/{path*}", "directories.create")
def create_directory(workspace: Workspace, request: Request) -> Json:
    """Create a folder and its parents; an existing folder is no error."""
    try:
        _local(workspace, request).mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise _conflict("A file exists at the path.") from None
    return Answer(204)


@routes.on("DELETE", "/api/2.0/fs/directories/Volumes/{path*}", "directories.delete")
def delete_directory(workspace: Workspace, request: Request) -> Json:
    """Delete an empty folder."""
    target = _folder(workspace, request)
    try:
        target.rmdir()
    except OSError:
        raise Refused(
            400,
            "INVALID_PARAMETER_VALUE",
            "The directory is not empty.",
            reason="FILES_API_DIRECTORY_IS_NOT_EMPTY",
        ) from None
    return Answer(204)


@routes.on("HEAD", "/api/2.0/fs/directories/Volumes/{path*}", "directories.head")
def head_directory(workspace: Workspace, request: Request) -> Json:
    """Answer whether a folder exists."""
    _folder(workspace, request)
    return Answer(200)


@routes.on("GET", "/api/2.0/fs/directories/Volumes/{path*}", "directories.list")
def list_directory(workspace: Workspace, request: Request) -> Json:
    """List one page of a folder, by name; the next page starts after the last name of this one."""
    folder = _folder(workspace, request)
    asked = int(request.query.get("page_size") or _LARGEST_PAGE)
    size = min(max(asked, 1), workspace.page_size, _LARGEST_PAGE)
    try:
        after = base64.urlsafe_b64decode(request.query.get("page_token", "")).decode()
    except ValueError:
        raise Refused(400, "INVALID_PARAMETER_VALUE", "The page token is invalid.") from None
    names = sorted(entry.name for entry in os.scandir(folder))
    left = [name for name in names if name > after] if after else names
    shown = left[:size]
    path = f"/Volumes/{request.arguments['path'].strip('/')}"
    contents = [entry for name in shown if (entry := _entry(folder, path, name)) is not None]
    page: dict[str, Json] = {"contents": contents}
    if len(left) > size:
        page["next_page_token"] = base64.urlsafe_b64encode(shown[-1].encode()).decode()
    return page


def _entry(folder: Path, path: str, name: str) -> Json | None:
    try:
        status = (folder / name).stat()
    except FileNotFoundError:  # it was deleted in the meantime
        return None
    entry: dict[str, Json] = {"path": f"{path}/{name}", "name": name, "is_directory": False}
    if (folder / name).is_dir():
        return entry | {"is_directory": True, "last_modified": int(status.st_mtime * 1000)}
    return entry | {"file_size": status.st_size, "last_modified": int(status.st_mtime * 1000)}


def _local(workspace: Workspace, request: Request) -> Path:
    return workspace.catalog.local_path(f"/Volumes/{request.arguments['path']}")


def _file(workspace: Workspace, request: Request) -> Path:
    target = _local(workspace, request)
    if not target.is_file():
        raise _missing("file")
    return target


def _folder(workspace: Workspace, request: Request) -> Path:
    target = _local(workspace, request)
    if not target.is_dir():
        raise _missing("directory")
    return target


def _described(target: Path, size: int) -> dict[str, str]:
    modified = datetime.fromtimestamp(int(target.stat().st_mtime), UTC)
    return {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(size),
        "Last-Modified": format_datetime(modified, usegmt=True),
    }


def _missing(what: str) -> Refused:
    reason = f"FILES_API_{what.upper()}_IS_NOT_FOUND"
    return Refused(404, "NOT_FOUND", f"The {what} being accessed is not found.", reason=reason)


def _conflict(text: str, reason: str = "FILES_API_FILE_ALREADY_EXISTS") -> Refused:
    return Refused(409, "ALREADY_EXISTS", text, reason=reason)
