"""Tests of app.afterscan: which destination's server and command a file gets."""

import pytest
from twisted.internet.testing import MemoryReactorClock

from tests.config.configurations import LISTEN
from wsdgateway.app.afterscan import AfterScan, UploadsUnusable, open_after_scan
from wsdgateway.config.reading import make_config
from wsdgateway.metrics import Metrics
from wsdgateway.net.destinations.after import WrittenFile
from wsdgateway.net.transport.steadyclock import SteadyClock

CLOCK = SteadyClock(lambda: 0.0, lambda: 1000.0)


def config(folder, *destinations, **sections):
    return make_config({"listen": [LISTEN], "destination": list(destinations), **sections}, str(folder / "g.toml"))


def upload(name="Paperless", **more):
    return {"name": name, "upload": "http://127.0.0.1:1/", **more}


def opened(folder, *destinations, **sections):
    return open_after_scan(MemoryReactorClock(), config(folder, *destinations, **sections), Metrics(), CLOCK)


def test_without_uploads_there_is_no_queue(tmp_path):
    after = opened(tmp_path, {"name": "Scans", "folder": "scans"})
    after.start()
    assert after.uploads is None and after.refusal("Scans") is None
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "uploads").mkdir(mode=0o755)
    opened(tmp_path, {"name": "Scans", "folder": "scans"}).start()
    assert list((tmp_path / "uploads").iterdir()) == []  # it may belong to another program


def test_the_folder_of_another_program_is_refused_if_it_is_needed(tmp_path):
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / "letter.odt").write_text("x")
    with pytest.raises(UploadsUnusable, match=r"letter\.odt"):
        opened(tmp_path, upload())
    assert opened(tmp_path, {"name": "Scans", "folder": "scans"}).uploads is None


def test_a_reload_that_needs_a_folder_that_cannot_be_used(tmp_path, said):
    (tmp_path / "uploads").write_text("x")
    after = opened(tmp_path, {"name": "Scans", "folder": "scans"})
    after.configure(config(tmp_path, upload()))
    assert any("Nothing is uploaded: " in line for line in said)
    assert after.refusal("Paperless").startswith("nothing can be uploaded: ")
    with pytest.raises(OSError, match="nothing can be uploaded"):
        after.upload_folder("Paperless")
    (tmp_path / "uploads").unlink()
    after.configure(config(tmp_path, upload()))
    assert after.refusal("Paperless") is None
    assert after.upload_folder("Paperless").is_dir()


def test_the_server_is_that_of_the_scanner_s_destination(tmp_path):
    first = upload(scanners=["front-*"], upload_field="file")
    second = upload(scanners=["cellar"], upload="http://127.0.0.1:2/", upload_header_file="token")
    (tmp_path / "token").write_text("A: b")
    (tmp_path / "token").chmod(0o600)
    after = AfterScan(MemoryReactorClock(), config(tmp_path, first, second, upload("Other")), CLOCK, list)
    targets = [after.target_of("Paperless", scanner) for scanner in ("front-desk", "cellar", "attic", "")]
    assert [(one.url, one.field, one.header_file) for one in targets[:2]] == [
        ("http://127.0.0.1:1/", "file", None), ("http://127.0.0.1:2/", "document", tmp_path / "token")]
    assert targets[2:] == [None, None]  # with a name alone, it could be either
    assert after.target_of("Other", "").url == "http://127.0.0.1:1/"
    assert after.target_of("Nobody", "") is None


def test_failures_are_counted(tmp_path):
    metrics = Metrics()
    after = open_after_scan(MemoryReactorClock(), config(tmp_path, upload()), metrics, CLOCK)
    after.written(WrittenFile(tmp_path / "gone.pdf", "front-desk", "Paperless", 1))
    assert (b'wsdgateway_destination_files_total{destination="Paperless",outcome="failed"} 1.0'
            in metrics.render())
