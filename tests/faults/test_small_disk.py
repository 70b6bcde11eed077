"""A file system that is full, and has room again."""

import errno
import subprocess
from pathlib import Path

import pytest

from faults.small_disk import NEEDED, SmallDisk, may_mount, mounted
from tocsin_local.instance import remove


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "server"
    if not may_mount(folder):
        pytest.skip(NEEDED)
    return folder


def test_a_disk_that_is_full_takes_no_byte_more_until_it_has_room_again(folder: Path) -> None:
    data = folder / "data"

    with mounted(folder, 2) as disk:
        data.write_bytes(b"before")
        disk.fill()
        with pytest.raises(OSError, match="No space left") as refused:
            data.write_bytes(b"x" * 100_000)
        disk.clear()
        data.write_bytes(b"x" * 100_000)

        assert refused.value.errno == errno.ENOSPC
        assert data.stat().st_size == 100_000
    assert not data.exists()


def test_what_a_server_left_on_it_is_removed_and_it_stays(folder: Path) -> None:
    with mounted(folder, 2):
        (folder / "data").mkdir()

        remove(folder)

        assert folder.is_mount()
        assert not any(folder.iterdir())


def test_one_that_a_killed_run_left_is_replaced(folder: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "left-behind", str(folder)], check=True)
    (folder / "old").touch()

    with mounted(folder, 2):
        assert not any(folder.iterdir())

    assert not folder.is_mount()


def test_a_disk_of_others_is_never_filled(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="not to be filled"):
        SmallDisk(tmp_path).fill()

    assert not any(tmp_path.iterdir())
