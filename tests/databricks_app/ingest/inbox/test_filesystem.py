"""File systems: a folder on a network file system is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from databricks_app.errors import SettingsError
from databricks_app.ingest.inbox.filesystem import (
    filesystem_of,
    refuse_lost_folder,
    refuse_network_folder,
)

# As in proc(5): id, parent, device, root, mount point, options, tags, "-", type, source, options.
MOUNTS = (
    rb"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:5 / /proc rw,nosuid - proc proc rw
40 22 0:40 / /srv rw shared:7 master:2 - nfs4 server:/srv rw,vers=4.2
41 40 8:2 / /srv/fast rw - xfs /dev/sdb rw
42 22 0:42 / /mnt/with\040space\134and\011tab rw - cifs //server/share rw
43 22 0:43 / /mnt/bucket rw - fuse.gcsfuse bucket rw
44 22 8:3 / /mnt/disk rw - ext4 /dev/sdc rw
45 44 0:45 / /mnt/disk rw - nfs server:/over rw
46 22 8:4 / /mnt/windows rw - fuseblk /dev/sdd1 rw
47 22 8:5 / /mnt/caf\xe9 rw - btrfs /dev/sde rw
48 22 0:48 / /mnt/latin-caf"""
    + b"\xe9 rw - nfs server:/latin rw\n"
)


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    """A list of mounts as the kernel writes it; one name is not UTF-8."""
    path = tmp_path / "mountinfo"
    path.write_bytes(MOUNTS)
    return path


def test_the_innermost_and_last_mount_counts(mounts: Path) -> None:
    """The longest mount point above the folder; of two with the same path, the later one."""
    expected = {
        "/": "ext4",
        "/var/lib/data": "ext4",
        "/srv": "nfs4",
        "/srv/slow/data": "nfs4",
        "/srv/fast/data": "xfs",
        "/srv/faster": "nfs4",
        "/srvfast": "ext4",
        "/mnt/with space\\and\ttab/data": "cifs",
        "/mnt/bucket/data": "fuse.gcsfuse",
        "/mnt/disk": "nfs",
        "/mnt/windows/data": "fuseblk",
    }

    assert {folder: filesystem_of(Path(folder), mounts) for folder in expected} == expected


@pytest.mark.parametrize("folder", ["/srv", "/mnt/bucket/data", "/mnt/disk/data"])
def test_a_network_folder_is_refused(mounts: Path, folder: str) -> None:
    """The error names the setting and the type of file system."""
    with pytest.raises(SettingsError, match=r"CIO_DATA_DIR.*network file system \("):
        refuse_network_folder(Path(folder), mounts)


@pytest.mark.parametrize("folder", ["/var", "/srv/fast", "/mnt/windows"])
def test_a_local_folder_is_accepted(mounts: Path, folder: str) -> None:
    """Also a local disk that is mounted below a network mount."""
    refuse_network_folder(Path(folder), mounts)


def test_a_mount_whose_name_is_not_utf8_is_read(mounts: Path) -> None:
    """Such a name is no error, whether the folder is on that mount or on another one."""
    folder = Path(b"/mnt/latin-caf\xe9/data".decode("utf-8", "surrogateescape"))

    assert filesystem_of(folder, mounts) == "nfs"


def test_a_link_is_followed(tmp_path: Path, mounts: Path) -> None:
    """The target of the link counts."""
    link = tmp_path / "data"
    link.symlink_to("/srv/fast")

    assert filesystem_of(link / "inbox", mounts) == "xfs"


def test_without_a_list_of_mounts_nothing_is_refused(tmp_path: Path) -> None:
    """On a system without such a list every folder is accepted."""
    assert filesystem_of(tmp_path, tmp_path / "missing") == "unknown"
    refuse_network_folder(tmp_path, tmp_path / "missing")


def test_the_real_list_of_mounts_can_be_read(tmp_path: Path) -> None:
    """The file system of a folder of this machine is known."""
    assert filesystem_of(tmp_path) != "unknown"


LOST = b"""22 1 0:30 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w
40 22 0:40 / /run rw - tmpfs tmpfs rw
41 22 8:2 / /data rw - ext4 /dev/sdb rw
"""


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("/app/data/inbox", r"own layer of a container \(overlay\)"),
        ("/run/ciolake/inbox", r"in memory \(tmpfs\)"),
    ],
)
def test_a_folder_that_is_lost_is_refused(tmp_path: Path, folder: str, words: str) -> None:
    """The error says what would be lost, and both ways out."""
    mounts = tmp_path / "mountinfo"
    mounts.write_bytes(LOST)

    with pytest.raises(SettingsError, match=f"CIO_INBOX=local.*{words}.*CIO_DATA_DIR.*remove"):
        refuse_lost_folder(Path(folder), mounts)


def test_a_volume_mounted_into_a_container_is_not_refused(tmp_path: Path) -> None:
    """Its events survive the container."""
    mounts = tmp_path / "mountinfo"
    mounts.write_bytes(LOST)

    refuse_lost_folder(Path("/data/inbox"), mounts)
