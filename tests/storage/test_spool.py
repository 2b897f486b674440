"""Tests of storage.spool: the private folder with pages, and what it refuses."""

import os
import shutil
import stat

import pytest

from wsdgateway.storage.spool import Spool
from wsdgateway.storage.store import NotOurs, StoreError

JOB = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.fixture
def spool(tmp_path):
    made = Spool(tmp_path / "spool")
    made.open()
    yield made
    made.close()


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_folder_and_files_are_private(spool):
    before = os.umask(0)
    try:
        page = spool.create(JOB)
    finally:
        os.umask(before)
    assert (mode(spool.folder), mode(page.path)) == (0o700, 0o600)
    assert page.path.name == f"scan-{JOB}.1.page"
    assert spool.create(JOB).path.name == f"scan-{JOB}.2.page"


def test_an_existing_folder_becomes_private(tmp_path):
    tmp_path.chmod(0o755)
    spool = Spool(tmp_path)
    assert spool.open() == 0
    assert mode(tmp_path) == 0o700
    spool.close()


def test_a_page_is_read_while_it_grows_and_after_it_was_deleted(spool):
    page = spool.create(JOB)
    reader = page.reader()
    assert reader.read(0, 10) == b""
    page.write(b"first ")
    assert (page.size, reader.read(0, 10), reader.read(6, 10)) == (6, b"first ", b"")
    page.write(b"second")
    page.close()
    assert reader.read(4, 4) == b"t se"
    page.delete()
    page.delete()
    page.write(b"late")
    assert reader.read(6, 100) == b"second"
    assert list(spool.folder.glob("*.page")) == []
    reader.close()
    reader.close()


def test_a_start_deletes_the_pages_of_the_one_before(spool):
    spool.create(JOB).write(b"page")
    spool.create(JOB).write(b"page")
    spool.close()
    again = Spool(spool.folder)
    assert again.open() == 2
    assert [path.name for path in again.folder.iterdir()] == ["scan.lock"]
    again.close()


@pytest.mark.parametrize("name", ["letter.pdf", "scan-1.page", f"scan-{JOB}.1.page.bak", ".hidden"])
def test_a_folder_with_other_files_is_refused_and_left_alone(spool, name):
    page = spool.create(JOB)
    spool.close()
    (spool.folder / name).write_text("precious")
    with pytest.raises(NotOurs, match=f"must be a folder of its own, but it contains .*{name}"):
        Spool(spool.folder).open()
    assert page.path.exists()
    assert (spool.folder / name).read_text() == "precious"


def test_links_and_folders_are_other_files(spool, tmp_path):
    (tmp_path / "precious").write_text("x")
    (spool.folder / f"scan-{JOB}.9.page").symlink_to(tmp_path / "precious")
    spool.close()
    with pytest.raises(NotOurs):
        Spool(spool.folder).open()
    assert (tmp_path / "precious").exists()


def test_a_link_to_a_folder_is_refused(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(NotOurs, match="must be a folder that belongs to the gateway's user"):
        Spool(tmp_path / "link").open()


def test_two_processes_cannot_use_one_folder(spool):
    page = spool.create(JOB)
    with pytest.raises(NotOurs, match="another gateway"):
        Spool(spool.folder).open()
    assert page.path.exists()


@pytest.mark.parametrize("where", ["missing/spool", "file"])
def test_a_folder_that_cannot_be_made_is_refused(tmp_path, where):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="the spool"):
        Spool(tmp_path / where).open()


@pytest.mark.parametrize("job_id", ["", "../x", "a/b", "a\0", "x" * 65, "ä"])
def test_nothing_else_becomes_part_of_a_name(spool, job_id):
    with pytest.raises(ValueError, match="must be"):
        spool.create(job_id)


def test_a_folder_that_was_removed_is_made_again(spool):
    shutil.rmtree(spool.folder)
    file = spool.create("job")
    file.write(b"x")
    assert file.path.read_bytes() == b"x"
    assert stat.S_IMODE(spool.folder.stat().st_mode) == 0o700
    with pytest.raises(StoreError, match="another gateway is using the spool"):
        Spool(spool.folder).open()


def test_nothing_is_written_to_another_folder_in_its_place(spool, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    spool.folder.rename(tmp_path / "moved")
    spool.folder.symlink_to(other)
    with pytest.raises(OSError, match="has taken the place of the spool"):
        spool.create("job")
    spool.folder.unlink()
    spool.folder.mkdir()
    with pytest.raises(OSError, match="has taken the place of the spool"):
        spool.create("job")
    assert list(other.iterdir()) == list(spool.folder.iterdir()) == []
