"""Debian's scanimage by eSCL, with sane-airscan and with SANE's own backend: scans through the gateway."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from PIL import Image

from tests.e2e.conftest import program, skip_or_fail
from tests.ports import free_port

BACKENDS = ("airscan", "escl")


@pytest.fixture(params=BACKENDS)
def scan(request, tmp_path, running):
    """Returns the command that scans by eSCL with one of both backends: `scan(*arguments)`."""
    name = request.param
    if shutil.which("scanimage") is None or not list(Path("/usr/lib").glob(f"*/sane/libsane-{name}.so*")):
        skip_or_fail(f"needs scanimage with the backend {name}: apt install sane-utils sane-airscan libsane1")
    folder = tmp_path / "sane.d"
    folder.mkdir()
    (folder / "dll.conf").write_text(f"{name}\n")
    (folder / "escl.conf").write_text("# the backend needs this file\n")
    root = f"http://127.0.0.1:{running.ports[2]}"
    (folder / "airscan.conf").write_text("[options]\ndiscovery = disable\nws-discovery = off\n")
    device = f"airscan:escl:Front desk:{root}/eSCL/" if name == "airscan" else f"escl:{root}"
    environment = {**os.environ, "SANE_CONFIG_DIR": str(folder), "SANE_DEBUG_AIRSCAN": "0"}

    def run(*arguments):
        return subprocess.run(["scanimage", "-d", device, *arguments], env=environment, capture_output=True, text=True,
                              cwd=tmp_path, timeout=120, check=False)

    run.name = name
    return run


@pytest.fixture
def running(twistd, tmp_path):
    """A virtual scanner and a gateway that offers it by eSCL, with their ports."""
    scanner, gateway, escl, admin = (free_port() for _ in range(4))
    (tmp_path / "scanner.toml").write_text(
        f'[scanner]\nendpoint = "tcp:{scanner}:interface=127.0.0.1"\npage_seconds = 0.1\nrefill = false\n')
    (tmp_path / "gateway.toml").write_text(
        f'[[listen]]\nendpoint = "tcp:{gateway}:interface=127.0.0.1"\n'
        f'[[scanner]]\nname = "front-desk"\nscan = "http://127.0.0.1:{scanner}/WDP/SCAN"\n'
        f'[admin]\nendpoint = "tcp:{admin}:interface=127.0.0.1"\n[escl]\nannounce = false\nports = "{escl}"\n')
    twistd(scanner, "wsdscanner", "--config", "scanner.toml")
    process = twistd(gateway, "wsdgateway", "--config", "gateway.toml", admin=admin)
    process.ports = scanner, gateway, escl, admin
    return process


def get(port, path, method="GET"):
    with urlopen(Request(f"http://127.0.0.1:{port}{path}", method=method), timeout=30) as answer:
        return answer.read()


def fill(running, pages):
    get(running.ports[0], f"/control/feeder?pages={pages}", "POST")


def metric(running, name, *labels):
    lines = get(running.ports[3], "/metrics").decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name}{{")
               and all(label in line for label in labels))


def spooled(tmp_path):
    return list((tmp_path / "spool").glob("*.page"))


def test_the_platen(scan, tmp_path, until):
    done = scan("--source=Flatbed", "--format=png", "--resolution=75", "-o", "page.png")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "page.png") as image:
        assert image.size[0] > 500
        assert image.mode == "RGB"
    until(lambda: not spooled(tmp_path))


@pytest.mark.parametrize(("source", "sheets", "pages"), [("ADF", 20, 20), ("ADF Duplex", 3, 6)])
def test_the_feeder(scan, running, tmp_path, until, source, sheets, pages):
    fill(running, sheets)
    done = scan(f"--source={source}", "--format=png", "--resolution=75", "--batch=page%d.png")
    assert f"{pages} pages scanned" in done.stderr, done.stderr
    found = [(tmp_path / f"page{number}.png").read_bytes() for number in range(1, pages + 1)]
    assert len(set(found)) == pages
    until(lambda: not spooled(tmp_path))


def test_an_empty_feeder(scan, running):
    fill(running, 0)
    done = scan("--source=ADF", "--format=png", "--batch=none%d.png")
    assert "out of documents" in done.stderr, done.stderr


# SANE's escl never cancels a job: it reads the pages to their end.
@pytest.mark.parametrize("scan", ["airscan"], indirect=True)
def test_a_scan_that_is_canceled_is_canceled_at_the_scanner(scan, running, tmp_path, until):
    fill(running, 200)
    done = scan("--source=ADF", "--format=png", "--resolution=75", "-o", "page.png")  # cancels after the first page
    assert done.returncode == 0, done.stderr
    until(lambda: metric(running, "wsdgateway_escl_requests_total", 'resource="Job"', 'status="200"') == 1)
    until(lambda: metric(running, "wsdgateway_jobs", 'state="Canceled"') == 1)
    until(lambda: not spooled(tmp_path))


def test_a_gateway_that_was_killed_leaves_no_pages(running, twistd, tmp_path, until):
    scanner, gateway, escl, admin = running.ports
    fill(running, 200)
    body = (b'<scan:ScanSettings xmlns:pwg="http://www.pwg.org/schemas/2010/12/sm" '
            b'xmlns:scan="http://schemas.hp.com/imaging/escl/2011/05/03"><pwg:Version>2.0</pwg:Version>'
            b"<pwg:InputSource>Feeder</pwg:InputSource></scan:ScanSettings>")
    with urlopen(Request(f"http://127.0.0.1:{escl}/eSCL/ScanJobs", data=body), timeout=30) as answer:
        assert answer.status == 201
    until(lambda: len(spooled(tmp_path)) >= 2)
    running.kill()
    running.wait(60)
    assert spooled(tmp_path)
    twistd(gateway, "wsdgateway", "--config", "gateway.toml", admin=admin)
    until(lambda: not spooled(tmp_path))
    until(lambda: json.loads(get(scanner, "/control/"))["jobs"]["1"] in ("Canceled", "Aborted"))


def test_wsdgateway_scan(running, tmp_path):
    url = f"http://127.0.0.1:{running.ports[2]}/eSCL"
    done = subprocess.run([program("wsdgateway"), "scan", url, "-o", "page.pdf"], capture_output=True, text=True,
                          timeout=120, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
