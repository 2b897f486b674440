"""Tests of net.destinations.folder: hidden files, final names that overwrite nothing, and scans of an earlier start."""

import errno
import json
import os
import stat
import uuid

import attrs
import pytest

from wsdgateway.net.destinations import folder as module
from wsdgateway.net.destinations.folder import Record, ScanFolder, problem_with, scans_in

RECORD = Record("front-desk", "Scans", "pdf", "{scanner}-{number}", {"scanner": "front-desk", "job": "7"}, 300, 3508)


@pytest.fixture
def scan(tmp_path):
    made = ScanFolder(tmp_path, str(uuid.uuid4()))
    made.begin(RECORD)
    yield made
    made.leave()


def arrived(scan, number, content=b"page"):
    file = scan.new_page(number)
    file.write(content)
    file.close()
    return file.path


def names(folder):
    return sorted(os.listdir(folder))


def test_every_file_of_a_scan_is_hidden_and_private(tmp_path, scan):
    path = arrived(scan, 1)
    scan.keep(path, 1)
    scan.new_output(0)
    arrived(scan, 2)
    assert len(names(tmp_path)) == 4
    for name in names(tmp_path):
        assert name.startswith(".") and name.endswith(".part")
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    scan.end()
    assert names(tmp_path) == []


def test_a_file_gets_its_name_and_mode_when_it_is_complete(tmp_path, scan):
    page = scan.keep(arrived(scan, 1, b"whole"), 1)
    former = os.umask(0o077)
    try:
        final = scan.publish(page, RECORD, "jpg", 1)
    finally:
        os.umask(former)
    assert final == tmp_path / "front-desk-1.jpg"
    assert (final.read_bytes(), stat.S_IMODE(final.stat().st_mode), final.stat().st_nlink) == (b"whole", 0o640, 1)


@pytest.mark.parametrize("is_converted", [False, True])
def test_files_belong_to_the_group_of_a_folder_with_the_set_group_id_bit(tmp_path, scan, is_converted):
    group = next((one for one in (1, *os.getgroups()) if one != os.getgid() and (os.geteuid() == 0 or one != 1)), None)
    if group is None:
        pytest.skip("needs root, or a user with a second group")
    os.chown(tmp_path, -1, group)
    tmp_path.chmod(0o2770)
    page = scan.keep(arrived(scan, 1), 1)
    if is_converted:
        page = scan.new_output(1)
    final = scan.publish(page, RECORD, "jpg", 1)
    assert (final.stat().st_gid, stat.S_IMODE(final.stat().st_mode)) == (group, 0o640)


@pytest.mark.parametrize("links", [True, False])
def test_nothing_is_overwritten(tmp_path, scan, monkeypatch, links):
    if not links:
        def refuse(*arguments, **more):
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(module.os, "link", refuse)
    (tmp_path / "front-desk-1.pdf").write_bytes(b"mine")
    (tmp_path / "front-desk-2.pdf").symlink_to("nowhere")
    (tmp_path / "front-desk-3.pdf").mkdir()
    final = scan.publish(scan.keep(arrived(scan, 1), 1), RECORD, "pdf", None)
    assert final.name == "front-desk-4.pdf"
    assert (tmp_path / "front-desk-1.pdf").read_bytes() == b"mine"
    assert not (tmp_path / "nowhere").exists()


def test_a_watcher_learns_of_a_file_when_it_is_complete(tmp_path, scan, monkeypatch):
    """A program that watches the folder by inotify waits for IN_CLOSE_WRITE."""
    opened, real = [], os.open

    def open_(path, flags, *more, **others):
        opened.append((os.path.basename(path), bool(flags & os.O_WRONLY)))
        return real(path, flags, *more, **others)

    page = scan.keep(arrived(scan, 1), 1)
    monkeypatch.setattr(module.os, "open", open_)
    scan.publish(page, RECORD, "pdf", None)
    assert ("front-desk-1.pdf", True) in opened


def test_a_folder_that_is_gone_or_full(tmp_path):
    with pytest.raises(FileNotFoundError):
        ScanFolder(tmp_path / "gone", str(uuid.uuid4())).begin(RECORD)
    assert problem_with(tmp_path) is None
    assert "No such file" in problem_with(tmp_path / "gone")
    (tmp_path / "file").write_text("")
    assert problem_with(tmp_path / "file").endswith("must be a folder")
    assert scans_in(tmp_path / "gone") == scans_in(tmp_path / "file") == []


def test_a_record_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        ScanFolder(tmp_path, str(uuid.uuid4())).begin(RECORD)
    assert names(tmp_path) == []


def test_a_later_start_finds_what_a_crash_has_left(tmp_path):
    scan_id = str(uuid.uuid4())
    former = ScanFolder(tmp_path, scan_id)
    former.begin(RECORD)
    for number in (2, 1, 10):
        former.keep(arrived(former, number), number)
    arrived(former, 11)
    (tmp_path / "letter.odt").write_text("")
    (tmp_path / ".wsdgateway-notes").write_text("")
    assert scans_in(tmp_path) == [scan_id]
    later = ScanFolder(tmp_path, scan_id)
    assert later.take_over() is None  # it still runs
    assert later.is_running() and not later.is_taken
    noted = attrs.evolve(RECORD, values={**RECORD.values, "job": "8"})
    former.note(noted)
    former.leave()  # as the end of the process
    assert later.take_over() == noted
    assert [number for number, _ in later.kept()] == [1, 2, 10]
    later.end()
    assert names(tmp_path) == [".wsdgateway-notes", "letter.odt"]


def test_a_crash_while_the_pages_of_a_finished_scan_are_deleted(tmp_path, scan, monkeypatch):
    """The next start deletes the other pages, and makes no file of them."""
    for number in (1, 2, 3):
        scan.keep(arrived(scan, number), number)
    real, done = type(tmp_path).unlink, []

    def unlink(path, missing_ok=False):
        if len(done) == 2:
            raise SystemExit
        done.append(path)
        real(path, missing_ok)

    monkeypatch.setattr(type(tmp_path), "unlink", unlink)
    with pytest.raises(SystemExit):
        scan.end()
    monkeypatch.undo()
    scan.leave()
    [scan_id] = scans_in(tmp_path)
    later = ScanFolder(tmp_path, scan_id)
    assert (len(later.kept()), later.take_over(), later.is_running()) == (2, None, False)
    later.end()
    assert names(tmp_path) == []


@pytest.mark.parametrize("content", [
    b"", b"{", b"[]", b'{"scanner": 1}', RECORD.dump().replace(b"{scanner}", b"../{scanner}"),
    RECORD.dump().replace(b'"7"', b"7"), RECORD.dump().replace(b'"pdf"', b'"xyz"'), b"[" * 60000, b"\xff",
    *(json.dumps({**attrs.asdict(RECORD), key: value}).encode() for key, value in (
        ("values", []), ("values", None), ("pattern", ""), ("pattern", ".hidden"), ("pattern", "a\0b"),
        ("pattern", "x" * 5000), ("pattern", "\ud800"), ("format", ["pdf"])))])
def test_a_record_that_is_none(tmp_path, content):
    assert Record.load(content) is None
    scan_id = str(uuid.uuid4())
    (tmp_path / f".wsdgateway-{scan_id}.part").write_bytes(content)
    later = ScanFolder(tmp_path, scan_id)
    assert later.take_over() is None
    assert later.is_taken
    later.end()
    assert names(tmp_path) == []


@pytest.mark.parametrize(("given", "used"), [
    ((-1, -1), (300, 0)), ((0, 1 << 40), (300, 0)), (("300", None), (300, 0)), ((1200, 65535), (1200, 65535))])
def test_impossible_numbers_of_a_record_are_not_used(given, used):
    made = Record.load(json.dumps({**attrs.asdict(RECORD), "dots": given[0], "lines": given[1]}).encode())
    assert (made.dots, made.lines) == used


def test_links_in_the_folder_are_not_followed(tmp_path):
    scan_id = str(uuid.uuid4())
    (tmp_path / "secret").write_text("")
    (tmp_path / f".wsdgateway-{scan_id}-1.page.part").symlink_to("secret")
    assert scans_in(tmp_path) == []
