"""Refuse file systems on which acknowledged events can be lost.

On network file systems locks and syncs do not keep their guarantees. A file system in memory is
lost when the machine stops, the own layer of a container when the container is replaced.
"""

from __future__ import annotations

from pathlib import Path

from databricks_app.errors import SettingsError

MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = frozenset(
    ("9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "lustre", "nfs", "nfs4", "smb3", "smbfs")
)
_MEMORY = frozenset(("tmpfs", "ramfs"))
_LAYERS = frozenset(("overlay", "overlayfs", "aufs", "fuse.fuse-overlayfs"))

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


def refuse_lost_folder(folder: Path, mounts: Path = MOUNTS) -> None:
    """Refuse a folder of a local inbox that is lost with the machine or the container.

    Raises:
        SettingsError: The folder is in memory, or in the own layer of a container.
    """
    kind = filesystem_of(folder, mounts)
    if kind in _MEMORY:
        what, how = "in memory", "when the machine stops"
    elif kind in _LAYERS:
        what, how = "in the own layer of a container", "when the container is replaced"
    else:
        return
    raise SettingsError(
        f"CIO_INBOX=local: {folder} is {what} ({kind}), so acknowledged events would be lost {how};"
        " set CIO_DATA_DIR to a folder on a disk that lasts, for example a named volume of the"
        " container, or remove CIO_INBOX, so that events wait in the volume of Databricks"
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
