"""File systems: a folder where a sync is only a wish is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from databricks_app.errors import SettingsError
from databricks_app.ingest.inbox.filesystem import filesystem_of, refuse_network_folder

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
    """A list of mounts as the kernel writes it, one name in it not UTF-8."""
    path = tmp_path / "mountinfo"
    path.write_bytes(MOUNTS)
    return path


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/var/lib/data", "ext4"),
        ("/srv", "nfs4"),
        ("/srv/slow/data", "nfs4"),
        ("/srv/fast/data", "xfs"),
        ("/srv/faster", "nfs4"),
        ("/srvfast", "ext4"),
        ("/mnt/with space\\and\ttab/data", "cifs"),
        ("/mnt/bucket/data", "fuse.gcsfuse"),
        ("/mnt/disk", "nfs"),
        ("/mnt/windows/data", "fuseblk"),
    ],
)
def test_the_innermost_and_last_mount_counts(mounts: Path, folder: str, kind: str) -> None:
    """The longest mount point above the folder decides; of two on one point, the later."""
    assert filesystem_of(Path(folder), mounts) == kind


@pytest.mark.parametrize("folder", ["/srv", "/mnt/bucket/data", "/mnt/disk/data"])
def test_a_network_folder_is_refused(mounts: Path, folder: str) -> None:
    """The error names the setting and the type of file system."""
    with pytest.raises(SettingsError, match=r"CIO_DATA_DIR lies on a network file system \("):
        refuse_network_folder(Path(folder), mounts)


@pytest.mark.parametrize("folder", ["/var", "/srv/fast", "/mnt/windows"])
def test_a_local_folder_is_taken(mounts: Path, folder: str) -> None:
    """Disks of this machine are taken, below a network mount as well."""
    refuse_network_folder(Path(folder), mounts)


def test_a_mount_whose_name_is_not_utf8_is_read(mounts: Path) -> None:
    """A name of other bytes, of our own mount or of another, is no error."""
    folder = Path(b"/mnt/latin-caf\xe9/data".decode("utf-8", "surrogateescape"))

    assert filesystem_of(folder, mounts) == "nfs"


def test_a_link_is_followed(tmp_path: Path, mounts: Path) -> None:
    """Where the files would really lie counts."""
    link = tmp_path / "data"
    link.symlink_to("/srv/fast")

    assert filesystem_of(link / "inbox", mounts) == "xfs"


def test_without_a_list_of_mounts_nothing_is_refused(tmp_path: Path) -> None:
    """On a system that tells nothing the folder is taken."""
    assert filesystem_of(tmp_path, tmp_path / "missing") == "unknown"
    refuse_network_folder(tmp_path, tmp_path / "missing")


def test_this_machine_tells_of_its_own_disk(tmp_path: Path) -> None:
    """The kernel's real list is understood."""
    assert filesystem_of(tmp_path) != "unknown"
