"""The ports of eSCL scanners with TLS: the same service, kept over restarts, and the certificate that is read again."""

import subprocess
import sys

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.certificates import Certified
from tests.loopback.escl.client import Client, settings
from tests.loopback.gateways import sample, section
from tests.ports import free_port
from tests.waiting import until
from wsdgateway.tls.trust import Caller, Trust

EXPIRY = "wsdgateway_certificate_expiry_timestamp_seconds"


def tls(certified):
    return Caller(Trust(ca=certified.pem), "127.0.0.1")


@pytest.fixture
def secured(offered, certified):
    """Starts a gateway whose scanner has a port with TLS, too; `tls_client` is a client of that port."""

    async def start(**more):
        low = free_port()
        service = await offered(escl={"ports": f"{low}-{low + 9}", "certificate": str(certified.pem),
                                      "key": str(certified.key)}, **more)
        await until(lambda: service.escl_ports.port("front-desk", secure=True))
        service.tls_client = Client(service.escl_ports.port("front-desk", secure=True), tls=tls(certified))
        return service

    return start


@pytest_twisted.ensureDeferred
async def test_the_same_service_at_both_ports(secured, certified):
    service = await secured()
    plain, secure = service.escl_client, service.tls_client
    assert plain.port != secure.port
    one, other = await plain.get("ScannerCapabilities"), await secure.get("ScannerCapabilities")
    assert one.value("UUID") == other.value("UUID") is not None
    assert other.value("IconURI") == f"https://127.0.0.1:{secure.port}/eSCL/icon.png"
    job = await secure.scan()
    pages, status = await secure.pages(job)
    assert (len(pages), status) == (1, 404)
    assert pages[0].body.startswith(b"\xff\xd8")
    assert (await plain.ask("DELETE", job)).status == 200
    [listener] = [one for one in service.escl_ports.listeners if one.identity is not None]
    assert sample(service, EXPIRY, endpoint="[escl]") == listener.identity.identity.expires.timestamp()
    [described] = service.overview.describe_scanners()
    assert (described["escl_url"], described["escl_tls_url"]) == (
        f"http://127.0.0.1:{plain.port}/eSCL", f"https://127.0.0.1:{secure.port}/eSCL")


@pytest_twisted.ensureDeferred
async def test_a_client_that_closes_without_close_notify_gets_each_page_once(secured):
    service = await secured(scanner={"feeder_pages": 5, "refill": False})
    pages, status = await service.tls_client.pages(await service.tls_client.scan(settings("Feeder")))
    assert (len(pages), status) == (5, 404)
    assert len({one.body for one in pages}) == 5


@pytest_twisted.ensureDeferred
async def test_a_scan_by_the_program_over_tls(secured, certified, tmp_path):
    service = await secured()
    url, page = f"https://127.0.0.1:{service.tls_client.port}/eSCL", tmp_path / "page.jpg"

    def scan(*trust):
        return subprocess.run([sys.executable, "-m", "wsdgateway", "scan", url, "-o", str(page), *trust],
                              capture_output=True, text=True, timeout=60, check=False)

    refused = await deferToThread(scan)
    assert refused.returncode == 3 and "certificate" in refused.stderr
    done = await deferToThread(scan, "--ca", str(certified.pem))
    assert done.returncode == 0, done.stderr
    assert page.read_bytes().startswith(b"\xff\xd8")


@pytest_twisted.ensureDeferred
async def test_the_certificate_is_read_again_at_a_reload(file, tmp_path, said):
    low = free_port()
    first, second = Certified(tmp_path, "first", "127.0.0.1"), Certified(tmp_path, "second", "127.0.0.1", days=5)

    def text(one, more=""):
        return (f'[escl]\nannounce = false\nports = "{low}-{low + 9}"\nspool = "{tmp_path}/spool"\n'
                f'certificate = "{one.pem}"\nkey = "{one.key}"\n' + section("a", "http://127.0.0.1:9/scan", more))

    service = await file.start(text(first))
    await until(lambda: service.escl_ports.port("a", secure=True))
    port = service.escl_ports.port("a", secure=True)
    before = sample(service, EXPIRY, endpoint="[escl]")
    await file.reload(text(second))
    assert sample(service, EXPIRY, endpoint="[escl]") < before
    assert "[escl]: the certificate expires at " in "\n".join(said)
    assert (await Client(port, tls=tls(second)).get("ScannerStatus")).status == 200
    kept = second.pem.read_bytes()
    second.pem.write_text("x")
    await file.reload(text(second))
    assert "[escl] certificate = " in "\n".join(said)
    second.pem.write_bytes(kept)
    assert (await Client(port, tls=tls(second)).get("ScannerStatus")).status == 200
    await file.reload(text(second, "escl = false"))
    await until(lambda: service.escl_ports.port("a", secure=True) is None)
