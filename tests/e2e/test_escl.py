"""Debian's scanimage by eSCL, with sane-airscan and with SANE's own backend: scans through the gateway."""

import json
import signal
import subprocess
from urllib.request import Request, urlopen

import pytest
from PIL import Image

from tests.e2e.conftest import program
from tests.e2e.sane import BACKENDS, device_at, environment_for
from tests.ports import free_port


@pytest.fixture(params=BACKENDS)
def scan(request, tmp_path, running):
    """Returns the command that scans by eSCL with one of both backends: `scan(*arguments)`."""
    name = request.param
    environment = environment_for(name, tmp_path)

    def start(*arguments, host="127.0.0.1"):
        device = device_at(name, f"http://{host}:{running.ports[2]}")
        return subprocess.Popen(["scanimage", "-d", device, *arguments], env=environment, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, cwd=tmp_path)

    def finish(process):
        try:
            _, process.error = process.communicate(timeout=120)
        finally:
            process.kill()
        return process

    def run(*arguments, **more):
        return finish(start(*arguments, **more))

    run.name, run.start, run.finish = name, start, finish
    return run


@pytest.fixture
def page_seconds(request):
    """The seconds that the scanner takes for a page."""
    return getattr(request, "param", 0.1)


@pytest.fixture
def running(twistd, tmp_path, page_seconds):
    """A virtual scanner and a gateway that offers it by eSCL, with their ports."""
    scanner, gateway, escl, admin = (free_port() for _ in range(4))
    (tmp_path / "scanner.toml").write_text(
        f'[scanner]\nendpoint = "tcp:{scanner}:interface=127.0.0.1"\npage_seconds = {page_seconds}\nrefill = false\n')
    (tmp_path / "gateway.toml").write_text(
        f'[[listen]]\nendpoint = "tcp:{gateway}:interface=127.0.0.1"\n'
        f'[[listen]]\nendpoint = "tcp6:{gateway}:interface=\\\\:\\\\:1"\n'
        f'[[scanner]]\nname = "front-desk"\nscan = "http://127.0.0.1:{scanner}/WDP/SCAN"\n'
        f'[admin]\nendpoint = "tcp:{admin}:interface=127.0.0.1"\n[escl]\nannounce = false\nports = "{escl}"\n')
    twistd(scanner, "wsdscanner", "--config", "scanner.toml")
    process = twistd(gateway, "wsdgateway", "--config", "gateway.toml", admin=admin)
    process.ports = scanner, gateway, escl, admin
    return process


def get(port, path, method="GET"):
    with urlopen(Request(f"http://127.0.0.1:{port}{path}", method=method), timeout=30) as answer:
        return answer.read()


def control(running, action):
    get(running.ports[0], f"/control/{action}", "POST")


def fill(running, pages):
    control(running, f"feeder?pages={pages}")


def jobs(running):
    """Returns the state of each job at the scanner, by its number."""
    return json.loads(get(running.ports[0], "/control/"))["jobs"]


def metric(running, name, *labels):
    lines = get(running.ports[3], "/metrics").decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name}{{")
               and all(label in line for label in labels))


def asked(running, operation):
    """Returns how often the gateway has asked the scanner for that operation."""
    return metric(running, "wsdgateway_device_requests_total", f'operation="{operation}"')


def spooled(tmp_path):
    return list((tmp_path / "spool").glob("*.page"))


def check_page(path, dots):
    """Checks that a file has a colour page of the whole area, 8.5 by 11.7 inches."""
    with Image.open(path) as image:
        assert image.mode == "RGB"
        assert [side / dots for side in image.size] == pytest.approx((8.5, 11.7), abs=0.05)


def test_the_platen(scan, running, tmp_path, until):
    done = scan("--source=Flatbed", "--format=png", "--resolution=75", "-o", "page.png")
    assert done.returncode == 0, done.error
    check_page(tmp_path / "page.png", 75)
    until(lambda: jobs(running) == {"1": "Completed"})
    assert (asked(running, "CreateScanJob"), asked(running, "RetrieveImage")) == (1, 1)
    until(lambda: not spooled(tmp_path))


# SANE's escl reads no IPv6 address in the name of a device: "Invalid port number".
@pytest.mark.parametrize("scan", ["airscan"], indirect=True)
def test_the_platen_by_ipv6(scan, running, tmp_path, until):
    done = scan("--source=Flatbed", "--format=png", "--resolution=75", "-o", "page.png", host="[::1]")
    assert done.returncode == 0, done.error
    check_page(tmp_path / "page.png", 75)
    until(lambda: jobs(running) == {"1": "Completed"})


@pytest.mark.parametrize(("source", "sheets", "pages"), [("ADF", 20, 20), ("ADF Duplex", 3, 6)])
def test_the_feeder(scan, running, tmp_path, until, source, sheets, pages):
    fill(running, sheets)
    done = scan(f"--source={source}", "--format=png", "--resolution=75", "--batch=page%d.png")
    assert f"{pages} pages scanned" in done.error, done.error
    found = [tmp_path / f"page{number}.png" for number in range(1, pages + 1)]
    assert len({path.read_bytes() for path in found}) == pages
    for path in found:
        check_page(path, 75)
    until(lambda: jobs(running) == {"1": "Completed"})
    assert asked(running, "CancelJob") == 0
    until(lambda: not spooled(tmp_path))


def test_an_empty_feeder(scan, running):
    fill(running, 0)
    done = scan("--source=ADF", "--format=png", "--batch=none%d.png")
    assert "out of documents" in done.error, done.error
    assert jobs(running) == {}
    fill(running, 2)
    done = scan("--source=Flatbed", "--format=png", "--resolution=75", "-o", "page.png")  # the glass is not affected
    assert done.returncode == 0, done.error


def test_a_busy_scanner(scan, running, tmp_path):
    control(running, "busy?seconds=300")
    done = scan("--source=Flatbed", "--format=png", "--resolution=75", "-o", "page.png")
    assert done.returncode != 0
    assert "busy" in done.error, done.error
    assert jobs(running) == {}
    control(running, "clear")
    done = scan("--source=Flatbed", "--format=png", "--resolution=75", "-o", "page.png")
    assert done.returncode == 0, done.error
    check_page(tmp_path / "page.png", 75)


# SANE's escl gives up at the first 503.
@pytest.mark.parametrize("scan", ["airscan"], indirect=True)
def test_a_scanner_that_is_busy_for_a_moment(scan, running, tmp_path, until):
    control(running, "busy?seconds=300")
    process = scan.start("--source=Flatbed", "--format=png", "--resolution=75", "-o", "page.png")
    until(lambda: metric(running, "wsdgateway_escl_requests_total", 'resource="ScanJobs"', 'status="503"'))
    control(running, "clear")
    assert scan.finish(process).returncode == 0, process.error
    check_page(tmp_path / "page.png", 75)


# SANE's escl never cancels a job: it reads the pages to their end.
@pytest.mark.parametrize("scan", ["airscan"], indirect=True)
def test_a_scan_that_is_canceled_is_canceled_at_the_scanner(scan, running, tmp_path, until):
    fill(running, 200)
    done = scan("--source=ADF", "--format=png", "--resolution=75", "-o", "page.png")  # cancels after the first page
    assert done.returncode == 0, done.error
    until(lambda: metric(running, "wsdgateway_escl_requests_total", 'resource="Job"', 'status="200"') == 1)
    until(lambda: metric(running, "wsdgateway_jobs", 'state="Canceled"') == 1)
    until(lambda: not spooled(tmp_path))


@pytest.mark.parametrize("page_seconds", [4.0], indirect=True)
def test_an_interrupt_in_the_middle_of_a_page(scan, running, tmp_path, until):
    process = scan.start("--source=Flatbed", "--format=png", "--resolution=75", "-o", "page.png")
    until(lambda: asked(running, "RetrieveImage") or "Processing" in jobs(running).values())
    process.send_signal(signal.SIGINT)
    assert scan.finish(process).returncode != 0
    # sane-airscan deletes the job; SANE's escl reads the page and takes its end for the end of the job.
    expected = "Canceled" if scan.name == "airscan" else "Completed"
    until(lambda: jobs(running) == {"1": expected})
    until(lambda: not spooled(tmp_path))
    done = scan("--source=Flatbed", "--format=png", "--resolution=75", "-o", "page.png")
    assert done.returncode == 0, done.error
    check_page(tmp_path / "page.png", 75)


def test_a_gateway_that_was_killed_leaves_no_pages(running, twistd, tmp_path, until):
    _, gateway, escl, admin = running.ports
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
    until(lambda: jobs(running)["1"] in ("Canceled", "Aborted"))


def test_wsdgateway_scan(running, tmp_path):
    url = f"http://127.0.0.1:{running.ports[2]}/eSCL"
    done = subprocess.run([program("wsdgateway"), "scan", url, "-o", "page.pdf"], capture_output=True, text=True,
                          timeout=120, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
