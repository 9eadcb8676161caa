"""The marks that web processes share: seen by the others, bounded, and harmless when torn."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from databricks_app.runtime.shared_marks import Moment, SharedMarks
from tests.support.paths import ROOT

NOTE = (
    "import sys, pathlib; from databricks_app.runtime.shared_marks import SharedMarks; "
    "SharedMarks(pathlib.Path(sys.argv[1])).note_verified('0badf00d', 17.5)"
)


def test_marks_of_one_process_are_seen_by_another(tmp_path: Path) -> None:
    """The file in the run folder is shared memory."""
    marks = SharedMarks(tmp_path)

    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", NOTE, str(tmp_path)], env=environ, check=True)

    assert marks.verified_at("0badf00d") == 17.5


def test_marks_without_a_run_folder_belong_to_the_process() -> None:
    """Nothing is known at first; then the newest time of each kind."""
    marks = SharedMarks(None)
    assert marks.verified_at("00000000") is None
    assert marks.moment(Moment.WRONG_SIGNATURE) is None
    assert not marks.has_body(bytes(32))

    for at in (1.0, 2.0):
        marks.note_verified("00000000", at)
        marks.note_moment(Moment.WRONG_SIGNATURE, at)
    marks.note_body(bytes(32))

    assert marks.verified_at("00000000") == 2.0
    assert marks.verified_at("00000001") is None
    assert marks.moment(Moment.WRONG_SIGNATURE) == 2.0
    assert marks.moment(Moment.STALE_ACCEPTED) is None
    assert marks.has_body(bytes(32))


def test_marks_need_no_folder_that_can_be_written(tmp_path: Path) -> None:
    """Then the process has marks of its own."""
    marks = SharedMarks(tmp_path / "missing")

    marks.note_verified("0badf00d", 1.0)

    assert marks.verified_at("0badf00d") == 1.0


def test_the_file_of_marks_does_not_grow(tmp_path: Path) -> None:
    """Newer bodies replace older ones; the last one is always there."""
    marks = SharedMarks(tmp_path)
    (file,) = tmp_path.iterdir()
    size = file.stat().st_size
    chance = random.Random(7)

    for _ in range(20_000):
        digest = chance.randbytes(32)
        marks.note_body(digest)
        assert marks.has_body(digest)

    assert file.stat().st_size == size < 1 << 18


def test_many_keys_keep_their_times() -> None:
    """More keys than anyone has; of too many in one place, the longest silent one goes."""
    marks = SharedMarks(None)
    for number in range(100):
        marks.note_verified(f"{number:08x}", float(number + 1))
    assert [marks.verified_at(f"{n:08x}") for n in range(100)] == [n + 1.0 for n in range(100)]

    same_place = [f"{number * 256 + 128:08x}" for number in range(5)]
    for number, fingerprint in enumerate(same_place):
        marks.note_verified(fingerprint, float(number + 1))

    assert [marks.verified_at(one) for one in same_place] == [None, 2.0, 3.0, 4.0, 5.0]


@pytest.mark.parametrize("seed", range(20))
def test_a_torn_entry_is_a_missing_one(tmp_path: Path, seed: int) -> None:
    """No byte that another process wrote halfway makes a key proven or a body known."""
    marks = SharedMarks(tmp_path)
    marks.note_verified("0badf00d", 1e9)
    marks.note_body(b"\1" * 32)
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    chance = random.Random(seed)
    for place in [at for at, byte in enumerate(content) if byte]:
        content[place] = (content[place] + chance.randrange(1, 256)) % 256
    file.write_bytes(bytes(content))

    assert marks.verified_at("0badf00d") is None
    assert not marks.has_body(b"\1" * 32)
