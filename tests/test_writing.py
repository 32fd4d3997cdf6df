import errno
import os
from pathlib import Path

import pytest

from llmarch_cli.writing import put, whole


def test_a_file_is_there_once_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "a file.svg"
    with whole(file) as beside:
        beside.write_text("half")
        assert not file.exists()
    assert file.read_text() == "half"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), ValueError()])
def test_what_fails_leaves_what_was_there(tmp_path: Path, error: BaseException) -> None:
    file = tmp_path / "file"
    file.write_text("before")

    def interrupted() -> None:
        with whole(file) as beside:
            beside.write_text("half")
            raise error

    with pytest.raises(type(error)):
        interrupted()
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("file", "before")]


def test_a_mounted_file_is_written_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(self: Path, target: Path) -> Path:
        raise OSError(errno.EBUSY, "Device or resource busy")

    file = tmp_path / "file"
    file.write_text("before")
    monkeypatch.setattr(Path, "replace", busy)
    put(file, b"after")
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("file", "after")]


def test_errors_are_about_the_file_that_was_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "no directory" / "file"
    with pytest.raises(FileNotFoundError) as caught:
        put(file, b"")
    assert caught.value.filename == str(file)


def test_a_name_may_be_as_long_as_names_may_be(tmp_path: Path) -> None:
    file = tmp_path / ("x" * 255)
    put(file, b"whole")
    assert file.read_bytes() == b"whole"


def test_a_link_stays_one_and_a_file_keeps_its_mode(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.touch(mode=0o640)
    file.chmod(0o640)
    link.symlink_to(file)
    put(link, b"new")
    assert link.is_symlink()
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"new", 0o640)


def test_a_pipe_is_written_to_as_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        put(pipe, b"through")
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)
