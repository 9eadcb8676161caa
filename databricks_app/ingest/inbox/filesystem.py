"""Refuse network file systems, where file locks and syncs do not keep their guarantees."""

from __future__ import annotations

from pathlib import Path

from databricks_app.errors import SettingsError

MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = frozenset(
    ("9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "lustre", "nfs", "nfs4", "smb3", "smbfs")
)

# The octal escapes in /proc/self/mountinfo, see proc_pid_mountinfo(5). The backslash comes last.
_MOUNT_ESCAPES = ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\"))


def refuse_network_folder(folder: Path, mounts: Path = MOUNTS) -> None:
    """Refuse a folder on a network file system.

    Raises:
        SettingsError: The folder is on a network file system.
    """
    kind = filesystem_of(folder, mounts)
    # `fuse.` are file systems like s3fs, gcsfuse or sshfs; `fuseblk` is a local disk.
    if kind in _NETWORK or kind.startswith("fuse."):
        raise SettingsError(
            f"CIO_DATA_DIR is on a network file system ({kind}), where acknowledged events can be "
            "lost; use a local disk"
        )


def filesystem_of(folder: Path, mounts: Path = MOUNTS) -> str:
    """Return the type of the file system of a folder, `unknown` if it is not known."""
    resolved = folder.resolve()
    best, kind = "", "unknown"
    try:
        # Folder names are bytes. `Path` decodes them with surrogateescape, so this must too.
        lines = mounts.read_text("utf-8", "surrogateescape").split("\n")
    except OSError:
        return kind
    for line in lines:
        fields, _, after = line.partition(" - ")
        if not after:
            continue
        point = fields.split(" ")[4]
        for code, character in _MOUNT_ESCAPES:
            point = point.replace(code, character)
        # The longest mount point counts; of equal ones the last, which covers the earlier ones.
        if resolved.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, after.split(" ")[0]
    return kind
