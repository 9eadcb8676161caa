"""Workspace files and folders: import, export, list, delete.

They are local files. Only raw files are supported: the source of a notebook stays a file. Not
simulated: languages, Git folders, trash, permissions, and the limit of 10 MB for source files
except in the import.
"""

from __future__ import annotations

import base64
import shutil
from email import message_from_bytes
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.doubles.messages import Answer, Json, Refused, Request
from tests.doubles.routing import Routes

if TYPE_CHECKING:
    from tests.doubles.workspace.state import Workspace

routes = Routes()
_API = "/api/2.0/workspace"
_MAX_BYTES = 10 * 1000 * 1000


@routes.on("POST", f"{_API}/mkdirs", "workspace.mkdirs")
def mkdirs(workspace: Workspace, request: Request) -> Json:
    """Create a folder and its parents."""
    try:
        _local(workspace, request.field("path")).mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise Refused(400, "RESOURCE_ALREADY_EXISTS", "A file is at that path.") from None


@routes.on("POST", f"{_API}/import", "workspace.import")
def import_file(workspace: Workspace, request: Request) -> Json:
    """Store one file, from JSON or from a multipart form, which the SDK's `upload` sends."""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        body, content = _form(request)
    else:
        body = request.json()
        content = base64.b64decode(body.get("content", ""))
    path = str(body.get("path", ""))
    target = _local(workspace, path)
    if len(content) > _MAX_BYTES:
        raise Refused(400, "MAX_NOTEBOOK_SIZE_EXCEEDED", "File size imported is too large.")
    if not target.parent.is_dir():
        parent = Path(path).parent
        raise Refused(
            404, "RESOURCE_DOES_NOT_EXIST", f"The parent folder ({parent}) does not exist."
        )
    if target.exists() and str(body.get("overwrite", "false")).lower() != "true":
        raise Refused(400, "RESOURCE_ALREADY_EXISTS", f"Path ({path}) already exists.")
    target.write_bytes(content)


@routes.on("GET", f"{_API}/export", "workspace.export")
def export(workspace: Workspace, request: Request) -> Json:
    """Return a file, as raw bytes or as base64 in JSON."""
    target = _existing(workspace, request.query.get("path", ""))
    content = target.read_bytes()
    if request.query.get("direct_download", "").lower() == "true":
        return Answer(200, content, {"Content-Type": "application/octet-stream"})
    return {"content": base64.b64encode(content).decode(), "file_type": target.suffix[1:]}


@routes.on("GET", f"{_API}/get-status", "workspace.get_status")
def get_status(workspace: Workspace, request: Request) -> Json:
    """Return the kind of the object at a path."""
    path = request.query.get("path", "")
    return _as_json(_existing(workspace, path), path)


@routes.on("GET", f"{_API}/list", "workspace.list")
def list_folder(workspace: Workspace, request: Request) -> Json:
    """List a folder."""
    path = request.query.get("path", "").rstrip("/")
    target = _existing(workspace, path)
    if target.is_file():
        return {"objects": [_as_json(target, path)]}
    return {"objects": [_as_json(one, f"{path}/{one.name}") for one in sorted(target.iterdir())]}


@routes.on("POST", f"{_API}/delete", "workspace.delete")
def delete(workspace: Workspace, request: Request) -> Json:
    """Delete a file, or with `recursive` a folder."""
    path = request.field("path")
    target = _existing(workspace, path)
    if target.is_file():
        target.unlink()
    elif any(target.iterdir()) and not request.json().get("recursive"):
        raise Refused(400, "DIRECTORY_NOT_EMPTY", f"Folder ({path}) is not empty")
    else:
        shutil.rmtree(target)


def _form(request: Request) -> tuple[dict[str, Any], bytes]:
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    parts = message_from_bytes(head + request.body).get_payload()
    body: dict[str, Any] = {}
    content = b""
    for part in parts:
        if isinstance(part, str):
            raise Refused(400, "MALFORMED_REQUEST", "The form cannot be read.")
        name = part.get_param("name", header="content-disposition")
        value = part.get_payload(decode=True)
        assert isinstance(value, bytes)  # a part of a form has no parts
        if name == "content":
            content = value
        else:
            body[str(name)] = value.decode()
    return body, content


def _as_json(target: Path, path: str) -> dict[str, Any]:
    status = target.stat()
    shown: dict[str, Any] = {
        "path": path,
        "object_id": status.st_ino,
        "modified_at": int(status.st_mtime * 1000),
    }
    if target.is_dir():
        return shown | {"object_type": "DIRECTORY"}
    return shown | {"object_type": "FILE", "size": status.st_size}


def _local(workspace: Workspace, path: str) -> Path:
    if not path.startswith("/") or ".." in Path(path).parts:
        raise Refused(400, "INVALID_PARAMETER_VALUE", f"Path ({path}) must be absolute.")
    inside = path.removeprefix("/Workspace").strip("/")
    return workspace.tree_dir / inside


def _existing(workspace: Workspace, path: str) -> Path:
    target = _local(workspace, path)
    if not target.exists():
        raise Refused(404, "RESOURCE_DOES_NOT_EXIST", f"Path ({path}) doesn't exist.")
    return target
