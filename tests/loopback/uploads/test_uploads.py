"""Uploads to a stand-in of Paperless-ngx: answers, outages, restarts, and servers that misbehave."""

import json

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.ssl import Certificate, trustRootFromCertificates

from tests.certificates import Certified
from tests.loopback.uploads.conftest import to
from tests.paperless import BROKEN, ENDLESS, ENDLESS_HEAD, HALF_ACCEPTED, HALF_BODY, SILENT, TOKEN, Answer, Raw
from tests.waiting import until
from wsdgateway.net.destinations.after import WrittenFile
from wsdgateway.net.uploads import connecting, request, uploads


def secret_in(lines):
    return any(TOKEN in line or TOKEN.split()[1] in line for line in lines)


@pytest_twisted.ensureDeferred
async def test_a_file_is_uploaded_as_documented(queue, paperless, said):
    queue.start(to(paperless, folder="scans"))
    path = queue.write("front-desk-20261129-120000-1.pdf")
    await queue.empty()
    (received,) = paperless.received
    assert (received.field, received.name, received.media, received.data) == (
        "document", "front-desk-20261129-120000-1.pdf", "application/pdf", b"%PDF-1.7 scan")
    assert received.fields["authorization"] == TOKEN
    assert "transfer-encoding" not in received.fields
    assert path.exists() and queue.failed == [] and queue.given_up == []
    await until(lambda: any("was uploaded to 127.0.0.1" in line for line in said))
    assert not secret_in(said)


@pytest_twisted.ensureDeferred
async def test_a_large_file_and_another_field(queue, paperless):
    queue.start(to(paperless, upload_field="file"))
    queue.scans = queue.after.upload_folder("Paperless")
    data = bytes(range(256)) * 20000
    path = queue.write("big.png", data)
    await until(lambda: queue.failed)  # the stand-in wants the field "document"
    (received,) = paperless.received
    assert (received.field, received.media, received.data == data) == ("file", "image/png", True)
    assert not path.exists()
    await queue.empty()
    assert queue.given_up == ["big.png", "big.png.json"]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("name", [
    'a"b.pdf', "a\r\nX-Evil: 1\r\n\r\nb.pdf", "\u00c4\u20ac \U0001f5a8.pdf", "a;b=c\\.pdf", "%22.pdf",
    "x" * 251 + ".pdf"])
async def test_file_names(queue, paperless, name):
    queue.start(to(paperless, folder="scans"))
    queue.write(name)
    await queue.empty()
    (received,) = paperless.received
    escaped = name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22").encode()
    assert received.disposition == b'Content-Disposition: form-data; name="document"; filename="' + escaped + b'"'
    assert received.data == b"%PDF-1.7 scan"


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(("answer", "reason"), [
    (Answer(400, json.dumps({"document": ["File type text/plain not supported"]}).encode()),
     'the server answered 400: {"document": ["File type text/plain not supported"]}'),
    (Answer(413, early=True), "the server answered 413"),
    (Answer(404, b"<html>long page</html>"), "the server answered 404"),
    (Answer(401, f"bad: {TOKEN}".encode()), "the server answered 401: bad: ..."),
    (Answer(302, b"", (("Location", "http://127.0.0.1:1/"),)), "the server redirects (302)")])
async def test_rejected_for_good(queue, paperless, said, answer, reason):
    queue.start(to(paperless, folder="scans"))
    paperless.script.append(answer)
    queue.write(data=b"x" * 3000000)
    await queue.empty()
    await until(lambda: any("is not tried again" in line for line in said))
    assert queue.given_up == ["scan.pdf", "scan.pdf.json"]
    assert queue.failed == ["Paperless"]
    record = json.loads((queue.folder / "uploads" / "failed" / "scan.pdf.json").read_text())
    assert reason in record["reason"]
    assert len(paperless.heads) == 1 and not secret_in(said)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("trouble", [
    [Answer(500), Answer(500)], [Answer(429, fields=(("Retry-After", "0"),))], [Answer(408), Answer(503)], [BROKEN]])
async def test_sent_again(queue, paperless, trouble, said):
    queue.start(to(paperless, folder="scans"))
    paperless.script += trouble
    queue.write()
    await queue.empty()
    assert paperless.names == ["scan.pdf"] and len(paperless.heads) == len(trouble) + 1
    assert queue.failed == [] and queue.given_up == []
    assert sum("was not uploaded, and is kept" in line for line in said) == len(trouble)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(("answer", "reason"), [
    (b"\x00\xff" * 5000 + b"\r\n", "its answer is not HTTP"), (b"HTTP/1.1 99x ?\r\n\r\n", "its answer is not HTTP"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "its answer is not HTTP"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "its answer is not HTTP"),
    (b"HTTP/1.1 102 Processing\r\n\r\n" * 50000, "its answer is longer than 1048576 bytes"),
    (b"", "it has closed the connection without an answer")])
async def test_answers_that_are_none(queue, paperless, said, answer, reason):
    queue.start(to(paperless, folder="scans"))
    paperless.script.append(Raw(answer))
    queue.write()
    await queue.empty()
    [line] = [line for line in said if "was not uploaded, and is kept" in line]
    assert f": {reason}; next attempt in" in line and len(line) < 300


@pytest_twisted.ensureDeferred
async def test_retry_after_is_waited_for(queue, paperless):
    queue.start(to(paperless, folder="scans"))
    paperless.script.append(Answer(429, fields=(("Retry-After", "1000"),)))
    queue.write()
    await until(lambda: '"attempts": 1' in "".join(
        one.read_text() for one in (queue.folder / "uploads").glob("*.json")))
    (record,) = (queue.folder / "uploads").glob("*.json")
    assert json.loads(record.read_text())["not_before"] > queue.wall() + 900
    queue.passed += 1000
    queue.after.configure(queue.config(to(paperless, folder="scans")))
    await queue.empty()
    assert paperless.names == ["scan.pdf"]


@pytest_twisted.ensureDeferred
async def test_a_server_that_is_down_for_a_while(queue, paperless):
    await paperless.stop()
    queue.start(to(paperless, folder="scans"))
    for number in range(3):
        queue.write(f"{number}.pdf")
    await until(lambda: max(json.loads(one.read_text())["attempts"]
                            for one in (queue.folder / "uploads").glob("*.json")) >= 3)
    assert queue.after.uploads.waiting("Paperless") == 3
    await paperless.start()
    await queue.empty()
    assert sorted(paperless.names) == ["0.pdf", "1.pdf", "2.pdf"]
    assert queue.failed == []


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(("behaviour", "limit"), [
    (SILENT, "ANSWER_SECONDS"), (ENDLESS_HEAD, "ANSWER_SECONDS"), (HALF_BODY, "BODY_SECONDS")])
async def test_servers_that_never_end(queue, paperless, monkeypatch, behaviour, limit, said):
    monkeypatch.setattr(request, limit, 0.3)
    monkeypatch.setattr(connecting, "MAX_ANSWER", 300000)
    queue.start(to(paperless, folder="scans"))
    paperless.script.append(behaviour)
    queue.write()
    await until(lambda: any("is kept" in line for line in said))
    monkeypatch.setattr(request, limit, 180.0)  # the next attempt has time, also on a loaded machine
    await queue.empty()
    assert paperless.names == ["scan.pdf"]
    await until(lambda: not paperless.connections)


@pytest_twisted.ensureDeferred
async def test_the_status_is_enough_if_the_body_has_no_end(queue, paperless, monkeypatch):
    monkeypatch.setattr(connecting, "MAX_ANSWER", 300000)
    queue.start(to(paperless, folder="scans"))
    paperless.script.append(ENDLESS)
    queue.write()
    await queue.empty()
    assert len(paperless.heads) == 1 and queue.given_up == []
    await until(lambda: not paperless.connections)


@pytest_twisted.ensureDeferred
async def test_a_server_that_takes_nothing(queue, paperless, monkeypatch, said):
    monkeypatch.setattr(request, "STALLED_SECONDS", 1.0)
    queue.start(to(paperless, folder="scans"))
    stalled = []
    paperless.partial = lambda: stalled or (stalled.append(1), [one.transport.pauseProducing()
                                                               for one in paperless.connections])
    queue.write(data=b"x" * 20000000)
    await queue.empty()
    assert any("the server takes nothing of the file" in line for line in said)
    assert paperless.received[-1].data == b"x" * 20000000


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("kind", ["unknown", "name", "expired"])
async def test_certificates_are_verified(tmp_path, queue, server, said, kind):
    authority = Certified(tmp_path, "authority", ca=True)
    hosts = ["elsewhere.example"] if kind == "name" else ["127.0.0.1"]
    own = Certified(tmp_path, "server", *hosts, issuer=authority, days=-1 if kind == "expired" else 30)
    if kind != "unknown":
        queue.trust = trustRootFromCertificates([Certificate.loadPEM(authority.pem.read_text())])
    await server.start(own)
    queue.start(to(server, folder="scans"))
    queue.write()
    await until(lambda: any("is kept; attempt 2" in line for line in said))
    assert any("certificate" in line for line in said if "is kept" in line)
    assert (server.heads, len(queue.left)) == ([], 2)


@pytest_twisted.ensureDeferred
async def test_https_with_a_valid_certificate(tmp_path, queue, server):
    authority = Certified(tmp_path, "authority", ca=True)
    own = Certified(tmp_path, "server", "127.0.0.1", issuer=authority)
    queue.trust = trustRootFromCertificates([Certificate.loadPEM(authority.pem.read_text())])
    await server.start(own)
    queue.start(to(server, folder="scans"))
    queue.write(data=b"x" * 3000000)
    await queue.empty()
    assert server.names == ["scan.pdf"]


@pytest_twisted.ensureDeferred
async def test_the_header_is_read_for_each_request(queue, paperless, said):
    queue.start(to(paperless, folder="scans"))
    queue.token.chmod(0o644)
    queue.write()
    await until(lambda: any("other users cannot read" in line for line in said))
    assert paperless.heads == []
    queue.token.chmod(0o600)
    await queue.empty()
    assert paperless.names == ["scan.pdf"] and not secret_in(said)


# Restarts.


@pytest_twisted.ensureDeferred
async def test_a_stop_during_an_upload(queue, paperless, monkeypatch):
    monkeypatch.setattr(uploads, "STOP_SECONDS", 0.05)
    paperless.script.append(SILENT)
    queue.start(to(paperless, folder="scans"))
    queue.write()
    await until(lambda: paperless.heads)
    await queue.stop()
    assert len(queue.left) == 2
    queue.start(to(paperless, folder="scans"))
    await queue.empty()
    assert paperless.names == ["scan.pdf"]


@pytest_twisted.ensureDeferred
async def test_a_stop_after_the_status_and_before_the_end_of_the_answer(queue, paperless, monkeypatch):
    monkeypatch.setattr(uploads, "STOP_SECONDS", 0.05)
    outcomes, outcome_of = [], request.outcome_of
    monkeypatch.setattr(request, "outcome_of", lambda *answer: outcomes.append(outcome_of(*answer)) or outcomes[-1])
    paperless.script.append(HALF_ACCEPTED)
    queue.start(to(paperless, folder="scans"))
    queue.write()
    await until(lambda: outcomes)
    await queue.stop()
    assert queue.left == [] and queue.given_up == []


@pytest_twisted.ensureDeferred
async def test_a_stop_waits_for_an_upload_that_ends_soon(queue, paperless):
    begun = Deferred()
    paperless.partial = lambda: begun.called or begun.callback(None)
    queue.start(to(paperless, folder="scans"))
    queue.write(data=b"x" * 3000000)
    await begun
    await queue.stop()
    assert (queue.left, paperless.names) == ([], ["scan.pdf"])


@pytest_twisted.ensureDeferred
async def test_a_scan_that_was_complete_when_the_process_ended(queue, paperless):
    queue.start(to(paperless))
    folder = queue.after.upload_folder("Paperless")
    await queue.stop()
    (folder / "late.pdf").write_bytes(b"%PDF-1.7 scan")
    (folder / ".half.pdf.part").write_bytes(b"%PDF")
    queue.start(to(paperless))
    await until(lambda: paperless.names == ["late.pdf"])
    await queue.empty()
    assert [one.name for one in folder.iterdir()] == [".half.pdf.part"]  # left to the destinations


@pytest_twisted.ensureDeferred
async def test_a_destination_that_has_left_the_configuration(queue, paperless, said):
    await paperless.stop()
    queue.start(to(paperless, folder="scans"))
    queue.write()
    await until(lambda: any("is kept" in line for line in said))
    queue.after.configure(queue.config())
    assert any("1 file(s) wait for its upload server, but no [[destination]]" in line for line in said)
    await queue.stop()
    await paperless.start()
    queue.start()
    assert len(queue.left) == 2
    queue.after.configure(queue.config(to(paperless, folder="scans")))
    await queue.empty()
    assert paperless.names == ["scan.pdf"]


@pytest.mark.parametrize("others", [[], [{"name": "Paperless", "folder": "scans"}]])
@pytest_twisted.ensureDeferred
async def test_a_destination_that_loses_its_server_during_a_scan(queue, paperless, said, others):
    """A file without a folder of its own waits in the queue, so that the next reload, or its age, moves it on."""
    queue.start(to(paperless))
    path = queue.after.upload_folder("Paperless") / "scan.pdf"
    queue.after.configure(queue.config(*others))
    path.write_bytes(b"%PDF-1.7 scan")
    queue.after.written(WrittenFile(path, "front-desk", "Paperless", 1))
    await until(lambda: any("1 file(s) wait for its upload server, but no [[destination]]" in line for line in said))
    assert (len(queue.left), path.exists(), paperless.names) == (2, False, [])
    queue.after.configure(queue.config(to(paperless)))
    await queue.empty()
    assert paperless.names == ["scan.pdf"]


@pytest_twisted.ensureDeferred
async def test_another_server_after_a_reload(queue, paperless):
    queue.start({**to(paperless, folder="scans"), "upload": "http://127.0.0.1:1/"})
    queue.write()
    await until(lambda: "accept connections" in "".join(
        one.read_text() for one in (queue.folder / "uploads").glob("*.json")))
    queue.after.configure(queue.config(to(paperless, folder="scans")))
    await queue.empty()
    assert paperless.names == ["scan.pdf"]


@pytest_twisted.ensureDeferred
async def test_too_old(queue, paperless, said):
    await paperless.stop()
    queue.start(to(paperless, folder="scans"), uploads={"age": 60.0})
    queue.write()
    await until(lambda: any("is kept" in line for line in said))
    queue.passed += 100
    await queue.empty()
    assert queue.given_up == ["scan.pdf", "scan.pdf.json"] and queue.failed == ["Paperless"]
    await until(lambda: any("it has waited for more than 60 s; last: 127.0.0.1" in line for line in said))


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("jump", [8 * 86400.0, 3600.0, -1800.0, -8 * 86400.0])
async def test_a_change_of_the_system_time_affects_no_pause_and_no_age(queue, paperless, said, jump):
    await paperless.stop()
    queue.start(to(paperless, folder="scans"))
    queue.write()
    await until(lambda: any("attempt 1" in line for line in said))
    queue.set_by = jump
    await until(lambda: any("attempt 4" in line for line in said))
    (record,) = (queue.folder / "uploads").glob("*.json")
    await until(lambda: json.loads(record.read_text())["attempts"] >= 4)
    for time in ("queued", "not_before"):  # the next start knows only the system time
        assert abs(json.loads(record.read_text())[time] - queue.wall()) < 60
    await paperless.start()
    await queue.empty()
    assert paperless.names == ["scan.pdf"] and queue.failed == []


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("jump", [8 * 86400.0, -8 * 86400.0])
async def test_an_age_continues_over_a_restart_after_a_change_of_the_system_time(queue, paperless, said, jump):
    await paperless.stop()
    queue.start(to(paperless, folder="scans"), uploads={"age": 3600.0})
    queue.write()
    await until(lambda: any("is kept" in line for line in said))
    queue.passed += 1800
    queue.set_by = jump
    await queue.stop()
    (record,) = (queue.folder / "uploads").glob("*.json")
    assert 1800 <= queue.wall() - json.loads(record.read_text())["queued"] < 1860
    await paperless.start()
    queue.start(to(paperless, folder="scans"), uploads={"age": 3600.0})
    await queue.empty()
    assert paperless.names == ["scan.pdf"] and queue.failed == []


@pytest_twisted.ensureDeferred
async def test_a_full_queue_refuses_until_there_is_room(queue, paperless, said):
    await paperless.stop()
    queue.start(to(paperless, folder="scans"), {"name": "Folder", "folder": "scans"}, uploads={"size": 1 << 20})
    queue.write(data=b"x" * (1 << 20))
    await until(lambda: any("is kept" in line for line in said))
    assert "the upload queue is full" in queue.after.refusal("Paperless")
    assert queue.after.refusal("Folder") is None
    await paperless.start()
    await queue.empty()
    assert queue.after.refusal("Paperless") is None


@pytest_twisted.ensureDeferred
async def test_files_that_were_given_up_count_until_they_are_removed(queue, paperless):
    queue.start(to(paperless, folder="scans"), uploads={"size": 1 << 20})
    paperless.script.append(Answer(400))
    queue.write(data=b"x" * (1 << 20))
    await queue.empty()
    await until(lambda: queue.after.refusal("Paperless"))
    assert "lie in failed/" in queue.after.refusal("Paperless")
    (queue.folder / "uploads" / "failed" / "scan.pdf").unlink()
    assert queue.after.refusal("Paperless") is None


@pytest_twisted.ensureDeferred
async def test_a_scan_that_is_gone(queue, paperless, said):
    queue.start(to(paperless, folder="scans"))
    path = queue.scans / "gone.pdf"
    queue.after.written(WrittenFile(path, "front-desk", "Paperless", 1))
    assert queue.failed == ["Paperless"]
    assert any(f"{path} is not uploaded: No such file or directory" in line for line in said)
