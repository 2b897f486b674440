"""Tests of storage.uploads: the folder of the upload queue, as a process that ends at any moment leaves it."""

import errno
import json
import os
import stat
from pathlib import Path

import attrs
import pytest

from wsdgateway.bridge.uploads.upload import FAILED, SENT, Upload, as_record
from wsdgateway.storage.store import NotOurs, StoreError
from wsdgateway.storage.uploads import UploadFolder, problem_with_uploads

ID, OTHER = "a" * 32, "b" * 32


@pytest.fixture
def folder(tmp_path):
    made = UploadFolder(tmp_path / "uploads")
    made.open()
    yield made
    made.close()


@pytest.fixture
def scan(tmp_path):
    path = tmp_path / "scan.pdf"
    path.write_bytes(b"%PDF scan")
    path.chmod(0o640)
    return path


def upload_of(path, name=ID):
    return Upload(name, "Paperless", "s", path.name, str(path), 1, 9, 1000.0)


def reopened(folder):
    folder.close()
    return folder.open()


def names(folder):
    return sorted(one.name for one in folder.folder.iterdir() if one.is_file() and one.name != "uploads.lock")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def put(folder, upload):
    folder.write(upload)
    folder.secure(upload, folder.take(upload))


def test_everything_is_private(folder, scan):
    before = os.umask(0)
    try:
        put(folder, upload_of(scan))
        copied = folder.scan_folder("Paperless")
    finally:
        os.umask(before)
    assert [mode(one) for one in (folder.folder, folder.failed.folder, folder.incoming, copied)] == [0o700] * 4
    assert mode(folder.folder / f"{ID}.json") == 0o600


def test_a_file_is_linked_and_the_scan_may_be_deleted(folder, scan):
    put(folder, upload_of(scan))
    assert folder.path_of(upload_of(scan)).samefile(scan)
    scan.unlink()
    assert folder.path_of(upload_of(scan)).read_bytes() == b"%PDF scan"
    assert reopened(folder).uploads == [upload_of(scan)]


def test_a_file_of_another_file_system_is_copied(folder, scan, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    upload = upload_of(scan)
    folder.write(upload)
    source = folder.take(upload)
    scan.unlink()  # from now on it is not needed
    folder.secure(upload, source)
    assert folder.path_of(upload).read_bytes() == b"%PDF scan"
    assert mode(folder.path_of(upload)) == 0o600
    assert names(folder) == [f"{ID}.file", f"{ID}.json"]


def test_a_scan_in_the_folder_is_moved(folder):
    path = folder.scan_folder("Paperless") / "scan.pdf"
    path.write_bytes(b"%PDF scan")
    put(folder, upload_of(path))
    assert not path.exists() and folder.path_of(upload_of(path)).read_bytes() == b"%PDF scan"


def test_a_source_that_is_gone(folder, scan):
    scan.unlink()
    folder.write(upload_of(scan))
    with pytest.raises(FileNotFoundError):
        folder.take(upload_of(scan))
    folder.forget(upload_of(scan))
    assert names(folder) == []


# What a process leaves that ends at any moment.


def test_ended_after_the_record(folder, scan):
    upload = upload_of(scan)
    folder.write(upload)
    assert reopened(folder).uploads == [upload]
    assert not folder.path_of(upload).exists()
    folder.secure(upload, folder.take(upload))
    assert folder.path_of(upload).read_bytes() == b"%PDF scan"


def test_ended_in_the_middle_of_a_record_or_copy(folder, scan):
    put(folder, upload_of(scan))
    (folder.folder / f"{ID}.tmp").write_text('{"id": ')
    (folder.folder / f"{OTHER}.part").write_bytes(b"%PDF")
    assert reopened(folder).uploads == [upload_of(scan)]
    assert names(folder) == [f"{ID}.file", f"{ID}.json"]


@pytest.mark.parametrize("deleted", [False, True])
def test_ended_after_the_server_has_accepted(folder, scan, deleted):
    upload = upload_of(scan)
    put(folder, upload)
    folder.update(attrs.evolve(upload, state=SENT))
    if deleted:
        folder.path_of(upload).unlink()
    assert reopened(folder).uploads == []
    assert (names(folder), list(folder.failed.folder.iterdir())) == ([], [])
    assert scan.exists()


@pytest.mark.parametrize("moved", [False, True])
def test_ended_after_the_file_was_given_up(folder, scan, moved):
    upload = attrs.evolve(upload_of(scan), state=FAILED, reason="the server answered 400")
    put(folder, upload)
    if moved:
        folder.finish(upload)
        folder.write(upload)
    assert reopened(folder).uploads == []
    assert names(folder) == []
    assert sorted(one.name for one in folder.failed.folder.iterdir()) == ["scan.pdf", "scan.pdf.json"]
    assert json.loads((folder.failed.folder / "scan.pdf.json").read_text())["reason"] == "the server answered 400"


def test_ended_while_scans_were_written(folder):
    scans = folder.scan_folder("Paperless \u20ac/..")
    (scans / "done.pdf").write_bytes(b"%PDF")
    (scans / ".half.pdf.part").write_bytes(b"%P")
    assert reopened(folder).scans == [("Paperless \u20ac/..", scans / "done.pdf")]
    assert sorted(one.name for one in scans.iterdir()) == [".half.pdf.part", "done.pdf"]
    assert folder.scan_folder("Paperless \u20ac/..") == scans
    assert folder.scan_folder("Paperless") != scans
    assert folder.give_up_scan(scans / "done.pdf") == folder.failed.folder / "done.pdf"


@pytest.mark.parametrize("record", [b"", b"{", b"[]", b"{}", b"\xff", b"[" * 5000, None])
def test_a_damaged_record_loses_no_file(folder, scan, record):
    upload = upload_of(scan)
    put(folder, upload)
    json_file = folder.folder / f"{ID}.json"
    if record is None:
        json_file.unlink()
    else:
        json_file.write_bytes(record)
    found = reopened(folder)
    assert (found.uploads, names(folder)) == ([], [])
    assert (folder.failed.folder / f"{ID}.file").read_bytes() == b"%PDF scan"
    assert len(found.remarks) == 1 and "failed" in found.remarks[0]


def test_a_record_of_another_file(folder, scan):
    put(folder, upload_of(scan))
    (folder.folder / f"{ID}.json").write_text(json.dumps(as_record(upload_of(scan, OTHER))))
    assert reopened(folder).uploads == []
    assert (folder.failed.folder / f"{ID}.file").exists()


# failed/


@pytest.mark.parametrize(("name", "second"), [
    ("scan.pdf", "scan-2.pdf"), ("scan", "scan-2"), ("a.b.c.pdf", "a.b.c-2.pdf"), (".pdf", ".pdf-2"),
    ("x" * 251 + ".pdf", "x" * 223 + "-2.pdf"), ("\u20ac" * 83 + ".pdf", "\u20ac" * 74 + "-2.pdf")])
def test_names_in_failed_are_never_used_twice(folder, scan, name, second):
    for one in (ID, OTHER):
        upload = attrs.evolve(upload_of(scan, one), state=FAILED, name=name)
        put(folder, upload)
        moved = folder.finish(upload)
        assert moved is not None and moved.read_bytes() == b"%PDF scan"
    assert moved.name == second
    assert sorted(folder.failed.sizes()) == [9, 9]


def test_failed_may_be_removed_by_the_user(folder, scan):
    folder.failed.folder.rmdir()
    assert folder.failed.sizes() == []
    upload = attrs.evolve(upload_of(scan), state=FAILED)
    put(folder, upload)
    assert folder.finish(upload) == folder.failed.folder / "scan.pdf"


# Folders that are refused.


def test_other_files_are_refused_and_left(tmp_path):
    (tmp_path / "letter.odt").write_text("x")
    tmp_path.chmod(0o755)
    with pytest.raises(NotOurs, match=r"it contains 'letter\.odt'"):
        UploadFolder(tmp_path).open()
    assert mode(tmp_path) == 0o755
    assert "letter.odt" in problem_with_uploads(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["letter.odt"]


def test_a_folder_in_use(folder):
    with pytest.raises(NotOurs, match="another gateway is using the upload queue"):
        UploadFolder(folder.folder).open()


def test_no_folder(tmp_path):
    with pytest.raises(StoreError, match="cannot be used: No such file or directory"):
        UploadFolder(tmp_path / "none" / "uploads").open()
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError):
        UploadFolder(tmp_path / "file").open()
    assert problem_with_uploads(tmp_path / "new") is None
    assert "does not exist" in problem_with_uploads(tmp_path / "none" / "uploads")
    assert "must be a folder" in problem_with_uploads(tmp_path / "file")


def test_a_folder_in_order_has_no_problem(folder, scan):
    put(folder, upload_of(scan))
    assert problem_with_uploads(folder.folder) is None


class Crash(BaseException):
    """The process has ended; nothing that it does later has an effect."""


class Crashing:
    """Ends the process before its nth operation on files."""

    def __init__(self, patch, nth):
        self._left = nth
        for owner, name in ((os, "fsync"), (os, "link"), (os, "open"), (Path, "rename"), (Path, "unlink"),
                            (Path, "write_text"), (Path, "mkdir"), (os, "fchmod")):
            patch.setattr(owner, name, self._wrapped(getattr(owner, name)))

    def _wrapped(self, function):
        def call(*arguments, **more):
            if self._left == 0:
                raise Crash
            self._left -= 1
            return function(*arguments, **more)
        return call

    @property
    def is_over(self):
        return self._left == 0


def copied(*_, **__):
    raise OSError(errno.EXDEV, "Invalid cross-device link")


@pytest.mark.parametrize("state", [SENT, FAILED])
@pytest.mark.parametrize("way", ["link", "copy", "move"])
def test_ended_before_any_operation(tmp_path, monkeypatch, state, way):
    """Whichever operation is the last one, the file is found afterwards, unless the server has accepted it."""
    for nth in range(100):
        folder = UploadFolder(tmp_path / str(nth))
        folder.open()
        scan = (folder.scan_folder("Paperless") if way == "move" else tmp_path) / f"{nth}.pdf"
        scan.write_bytes(b"%PDF scan")
        upload, was_accepted = upload_of(scan), False
        with monkeypatch.context() as patch:
            if way == "copy":
                patch.setattr(os, "link", copied)
            crashing = Crashing(patch, nth)
            try:
                put(folder, upload)
                was_accepted = state == SENT
                folder.finish(attrs.evolve(upload, state=state))
            except Crash:
                pass
            is_over = crashing.is_over
        folder.close()
        again = UploadFolder(folder.folder)
        found = again.open()
        for one in found.uploads:
            again.secure(one, again.take(one))
        kept = [*(again.path_of(one) for one in found.uploads), *(path for _, path in found.scans),
                *(one for one in again.failed.folder.iterdir() if one.suffix != ".json")]
        contents = [path.read_bytes() for path in kept if path.stat().st_size]
        if way != "move" and not kept:
            contents = [scan.read_bytes()]  # it has not been taken over yet, or is not needed any more
        assert contents == [b"%PDF scan"] or (was_accepted and contents == []), nth
        assert was_accepted or state == SENT or not is_over or contents, nth
        again.close()
        if not is_over:
            assert nth > 8
            break
    else:
        raise AssertionError("the process never came to its end")
