"""Whether a folder lies where locks and syncs mean what the inbox needs them to mean."""

from __future__ import annotations

from pathlib import Path

from databricks_app.errors import SettingsError

MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = frozenset(
    ("9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "lustre", "nfs", "nfs4", "smb3", "smbfs")
)


def refuse_network_folder(folder: Path, mounts: Path = MOUNTS) -> None:
    """Refuse a folder on a network file system.

    Raises:
        SettingsError: It lies on one; locks and syncs there do not hold.
    """
    kind = filesystem_of(folder, mounts)
    if kind in _NETWORK or kind.startswith("fuse."):
        raise SettingsError(
            f"CIO_DATA_DIR lies on a network file system ({kind}), where an acknowledged event "
            "could be lost; use a local disk"
        )


def filesystem_of(folder: Path, mounts: Path = MOUNTS) -> str:
    """Return the type of the file system that holds a folder, `unknown` if it is not known."""
    resolved = folder.resolve()
    best, kind = "", "unknown"
    try:
        # Names of folders are bytes; these become the text that `Path` uses for them.
        lines = mounts.read_text("utf-8", "surrogateescape").split("\n")
    except OSError:
        return kind
    for line in lines:
        fields, _, after = line.partition(" - ")
        if not after:
            continue
        point = _unescape(fields.split(" ")[4])
        if resolved.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, after.split(" ")[0]
    return kind


def _unescape(point: str) -> str:
    """Undo the octal escapes of white space in the kernel's list of mounts."""
    for code, character in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
        point = point.replace(code, character)
    return point
