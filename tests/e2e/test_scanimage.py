"""Debian's scanimage with sane-airscan: it scans through the gateway as it does directly."""

import json
import re
import shlex
import signal
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.request import Request, urlopen

import pikepdf
import pytest

from tests.e2e.conftest import program
from tests.ports import free_port


@pytest.fixture
def running(twistd, tmp_path):
    """A virtual scanner and a gateway in front of it as processes, with their ports."""
    scanner, gateway, admin = free_port(), free_port(), free_port()
    (tmp_path / "scanner.toml").write_text(
        f'[scanner]\nendpoint = "tcp:{scanner}:interface=127.0.0.1"\nstamp = "the same"\npage_seconds = 0.1\n')
    (tmp_path / "gateway.toml").write_text(
        f'[[listen]]\nendpoint = "tcp:{gateway}:interface=127.0.0.1"\n'
        f'[[scanner]]\nname = "front-desk"\nscan = "http://127.0.0.1:{scanner}/WDP/SCAN"\n'
        f'[admin]\nendpoint = "tcp:{admin}:interface=127.0.0.1"\n')
    device = twistd(scanner, "wsdscanner", "--config", "scanner.toml")
    process = twistd(gateway, "wsdgateway", "--config", "gateway.toml", admin=admin)
    process.ports = scanner, gateway, admin
    process.device = device
    return process


def get(port, path, method="GET"):
    with urlopen(Request(f"http://127.0.0.1:{port}{path}", method=method), timeout=30) as answer:
        return answer.read()


def urls(running):
    scanner, gateway, _ = running.ports
    return {"direct": f"http://127.0.0.1:{scanner}/WDP/SCAN", "gateway": f"http://127.0.0.1:{gateway}/front-desk/scan"}


def test_the_platen_is_scanned_through_the_gateway(running, scanimage, tmp_path, until):
    for name in ("direct", "gateway"):
        done = scanimage(urls(running), name, "--format=jpeg", "--resolution=100", "-o", f"{name}.jpg")
        assert done.returncode == 0, done.stderr
    image = (tmp_path / "gateway.jpg").read_bytes()
    assert image == (tmp_path / "direct.jpg").read_bytes()
    assert image.startswith(b"\xff\xd8")
    scanner, _, admin = running.ports
    jobs = until(lambda: [job for job in json.loads(get(admin, "/api/jobs")) if job["final"]])
    assert jobs[-1]["state"] == "Completed"
    metrics = get(admin, "/metrics").decode()
    assert 'wsdgateway_requests_total{operation="RetrieveImage",scanner="front-desk",source="device"} ' in metrics
    assert json.loads(get(scanner, "/control/"))["asked"]["Subscribe"] == 1


def test_three_pages_from_the_feeder(running, scanimage, tmp_path):
    for name in ("direct", "gateway"):
        done = scanimage(urls(running), name, "--format=png", "--resolution=75", "--source=ADF",
                         f"--batch={name}-%d.png")
        assert "3 pages scanned" in done.stderr, done.stderr
    pages = [(tmp_path / f"gateway-{page}.png").read_bytes() for page in (1, 2, 3)]
    assert pages == [(tmp_path / f"direct-{page}.png").read_bytes() for page in (1, 2, 3)]
    assert len(set(pages)) == 3
    assert not (tmp_path / "gateway-4.png").exists()


def test_scanimage_reports_an_empty_feeder(running, scanimage):
    scanner = running.ports[0]
    get(scanner, "/control/feeder?pages=0", "POST")
    done = scanimage(urls(running), "gateway", "--source=ADF", "--format=png", "--batch=none-%d.png")
    assert "out of documents" in done.stderr


TROUBLE = {
    "jam": "Document feeder jammed", "cover": "Scanner cover is open", "lamp-error": "Error during device I/O",
    "busy": "Device busy"}


def test_scanimage_reports_trouble_through_the_gateway_as_it_does_directly(running, scanimage):
    scanner = running.ports[0]
    for trouble, message in TROUBLE.items():
        get(scanner, f"/control/{trouble}", "POST")
        for name in ("direct", "gateway"):
            done = scanimage(urls(running), name, "--source=ADF", "--format=png", "--batch=none-%d.png")
            assert message in done.stderr, trouble
        get(scanner, "/control/clear", "POST")


def test_scanimage_waits_until_the_lamp_is_warm(running, scanimage, tmp_path, until):
    scanner, _, admin = running.ports

    def asked(operation):
        return json.loads(get(scanner, "/control/"))["asked"].get(operation, 0)

    def reads(name):
        """Returns how often the status and the like have been read there."""
        if name == "direct":
            return asked("GetScannerElements")
        return sum(float(line.rpartition(" ")[2]) for line in get(admin, "/metrics").decode().splitlines()
                   if line.startswith('wsdgateway_requests_total{operation="GetScannerElements"'))

    for name in ("direct", "gateway"):
        get(scanner, "/control/lamp-warming?seconds=300", "POST")
        created = asked("CreateScanJob")
        with ThreadPoolExecutor() as threads:
            scan = threads.submit(scanimage, urls(running), name, "--format=jpeg", "--resolution=75", "-o",
                                  f"{name}.jpg")
            until(lambda created=created: asked("CreateScanJob") > created)
            # sane-airscan reads the reason after each refusal, and gives up if there is none any more.
            before = reads(name)
            until(lambda name=name, before=before: reads(name) > before)
            get(scanner, "/control/clear", "POST")
            done = scan.result()
        assert done.returncode == 0, done.stderr
        assert asked("CreateScanJob") > created + 1
    assert (tmp_path / "gateway.jpg").read_bytes() == (tmp_path / "direct.jpg").read_bytes()


def test_scanimage_keeps_the_pages_before_a_jam(running, scanimage, tmp_path, until):
    scanner, _, admin = running.ports
    get(scanner, "/control/jam?after=2", "POST")
    done = scanimage(urls(running), "gateway", "--source=ADF", "--format=png", "--resolution=75", "--batch=page-%d.png")
    assert "2 pages scanned" in done.stderr
    assert sorted(path.name for path in tmp_path.glob("page-*.png")) == ["page-1.png", "page-2.png"]
    [job] = until(lambda: [job for job in json.loads(get(admin, "/api/jobs")) if job["final"]])
    assert (job["state"], job["scans_completed"]) == ("Aborted", 2)
    counted = 'wsdgateway_events_total{event="ScannerStatusConditionEvent",scanner="front-desk"} 1.0'
    until(lambda: counted in get(admin, "/metrics").decode())


def test_the_scan_command_scans_the_feeder_into_a_pdf_and_reports_an_empty_feeder(running, tmp_path):
    scanner = running.ports[0]
    folder = tmp_path / "scans"
    folder.mkdir()
    for name, url in urls(running).items():
        done = ours(folder, url, "-o", f"{name}.pdf", "--source=adf", "--resolution=75")
        assert (done.returncode, done.stdout) == (0, f"{name}.pdf\n"), done.stderr
        with pikepdf.open(folder / f"{name}.pdf") as pdf:
            assert len(pdf.pages) == 3
    get(scanner, "/control/feeder?pages=0", "POST")
    done = ours(folder, urls(running)["gateway"], "-o", "none-%03d.jpg", "--source=duplex")
    assert (done.returncode, done.stderr) == (5, "wsdgateway scan: The feeder is empty\n")
    assert sorted(path.name for path in folder.iterdir()) == ["direct.pdf", "gateway.pdf"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_scan_command_keeps_complete_pages_and_cancels_its_job(running, tmp_path, number, until):
    scanner = running.ports[0]
    folder = tmp_path / "scans"
    folder.mkdir()
    get(scanner, "/control/feeder?pages=500", "POST")
    with subprocess.Popen([program("wsdgateway"), "scan", urls(running)["gateway"], "-o", "out.pdf", "--source=adf",
                           "--resolution=600"], cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: process.stderr.readline().startswith("page 1"))
        process.send_signal(number)
        said = process.stderr.read()
    assert (process.returncode, "Traceback" in said) == (130, False)
    assert "kept" in said
    assert [path.name for path in folder.iterdir()] == ["out.pdf"]
    assert json.loads(get(scanner, "/control/"))["asked"]["CancelJob"] == 1


def ours(folder, *arguments):
    return subprocess.run([program("wsdgateway"), "scan", *arguments], cwd=folder, capture_output=True, text=True,
                          timeout=60)


def test_a_clean_stop_leaves_no_subscription_behind(running, until):
    scanner = running.ports[0]
    until(lambda: json.loads(get(scanner, "/control/"))["subscriptions"] == 1)
    running.send_signal(signal.SIGTERM)
    running.wait(60)
    assert json.loads(get(scanner, "/control/"))["subscriptions"] == 0


def test_the_command_printed_by_the_demo_scans_a_page(twistd, tmp_path, until):
    process = subprocess.Popen([program("twistd"), "-n", "--pidfile=", "wsdgateway", "--demo"], cwd=tmp_path,
                               stdout=(tmp_path / "demo.log").open("wb"), stderr=subprocess.STDOUT)
    try:
        line = re.compile(r"^ +(\S*wsdgateway scan \S+ -o page\.jpg)$", re.MULTILINE)
        words = shlex.split(until(lambda: line.search((tmp_path / "demo.log").read_text()))[1])
        done = subprocess.run([program("wsdgateway"), *words[1:]], cwd=tmp_path, capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "page.jpg").read_bytes().startswith(b"\xff\xd8")
        assert not (tmp_path / "gateway.sqlite").exists()
    finally:
        process.terminate()
        process.wait(60)
    assert "Traceback" not in (tmp_path / "demo.log").read_text()


@pytest.mark.parametrize(("arguments", "message"), [
    (["--config", "none.toml"], "none.toml: cannot read the file"), (["--nonsense"], "nonsense"),
    ([], "--demo"), (["--demo", "--config", "x"], "give either --demo or --config"), (["more"], "Wrong number")])
@pytest.mark.parametrize("plugin", ["wsdgateway"])
def test_a_mistake_ends_twistd_with_status_1_and_a_line(tmp_path, plugin, arguments, message):
    done = subprocess.run([program("twistd"), "-n", "--pidfile=", plugin, *arguments], cwd=tmp_path,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert message in line
    assert not done.stdout


def test_the_database_of_another_program_is_one_line_of_error(tmp_path):
    with closing(sqlite3.connect(tmp_path / "gateway.sqlite")) as database:
        database.execute("CREATE TABLE something (value TEXT)")
    (tmp_path / "gateway.toml").write_text('[[listen]]\nendpoint = "tcp:0"\n')
    done = subprocess.run([program("twistd"), "-n", "--pidfile=", "wsdgateway"], cwd=tmp_path, capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 1
    assert "gateway.sqlite" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.parametrize(("url", "status", "message"), [
    ("http://127.0.0.1:1/x", 3, "does not answer"), ("ftp://x/", 2, "must be"), ("http://", 2, "must be")])
def test_the_error_messages_of_scan(tmp_path, url, status, message):
    done = subprocess.run([program("wsdgateway"), "scan", url, "-o", "page.jpg"], cwd=tmp_path, capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
