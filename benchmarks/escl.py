"""eSCL beside nginx that serves the same bytes: ScannerStatus, and pages of 10 MiB that wait in the spool."""

import contextlib
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

from peers import LOAD_CORE, SERVER_CORE, free_port, gateway, metric, nginx, script, wrk_get
from table import WARM_UP_SECONDS, Line, interleaved, ratios

PAGES, PAGE = 20, 10 << 20
ROOT = "/front-desk/eSCL"
WAIT_SECONDS = 60.0
SETTINGS = (
    '<scan:ScanSettings xmlns:scan="http://schemas.hp.com/imaging/escl/2011/05/03" '
    'xmlns:pwg="http://www.pwg.org/schemas/2010/12/sm"><pwg:Version>2.63</pwg:Version>'
    "<pwg:InputSource>Feeder</pwg:InputSource><pwg:DocumentFormat>image/jpeg</pwg:DocumentFormat></scan:ScanSettings>")


def ask(port: int, method: str, path: str, body: str = "") -> tuple[int, str, bytes]:
    """Sends a request. Returns the status, Location and body of the answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=WAIT_SECONDS)
    try:
        connection.request(method, path, body.encode() or None)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("location", ""), answer.read()
    finally:
        connection.close()


@contextlib.contextmanager
def _gateways(folder: Path) -> Iterator[dict[str, tuple[int, int]]]:
    """Runs a device and two gateways in front of it, which know its capabilities; each has a port and an admin port."""
    device, file = free_port(), folder / "scanner.toml"
    file.write_text(f'[scanner]\nendpoint = "tcp:{device}:interface=127.0.0.1"\npage_seconds = 0.0\n'
                    f"request_seconds = 0.0\nfeeder_pages = {PAGES}\nrefill = true\n")
    with contextlib.ExitStack() as stack:
        stack.enter_context(script("peer_scanner.py", device, LOAD_CORE, str(file)))
        found = {}
        for name in ("gateway", "gateway again"):
            port, admin, own = (free_port() for _ in range(3))
            more = f'[escl]\nannounce = false\nports = "{own}-{own}"\ninterface = "127.0.0.1"\n'
            stack.enter_context(gateway(folder / name, port, f"http://127.0.0.1:{device}/WDP/SCAN", more,
                                        'events = "off"', admin=admin))
            found[name] = port, admin
            _until(lambda port=port: ask(port, "GET", f"{ROOT}/ScannerCapabilities")[0] == 200, "its capabilities")
        yield found


def _until(is_so: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not is_so():
        if time.monotonic() > end:
            raise SystemExit(f"the gateway does not have {what}")
        time.sleep(0.05)


def _statuses(work: str, rounds: int, seconds: int, *, close: bool) -> list[Line]:
    with tempfile.TemporaryDirectory() as temporary, _gateways(Path(temporary)) as gateways:
        folder, constant = Path(temporary), free_port()
        body = ask(gateways["gateway"][0], "GET", f"{ROOT}/ScannerStatus")[2].decode()
        serving = (f"server {{ listen 127.0.0.1:{constant} backlog=4096; location / {{ default_type text/xml; "
                   f"add_header Cache-Control no-cache; return 200 '{body}'; }} }}")
        with nginx(folder / "nginx", serving, constant, SERVER_CORE):
            urls = {"gateway": f"http://127.0.0.1:{gateways['gateway'][0]}{ROOT}/ScannerStatus",
                    "nginx": f"http://127.0.0.1:{constant}/",
                    "gateway again": f"http://127.0.0.1:{gateways['gateway again'][0]}{ROOT}/ScannerStatus"}

            def programs(seconds: int) -> dict[str, Callable[[], float]]:
                return {name: lambda url=url: wrk_get(url, seconds=seconds, close=close) for name, url in urls.items()}

            interleaved(f"{work} (warming up)", 1, programs(WARM_UP_SECONDS))
            found = interleaved(work, rounds, programs(seconds))
        if not metric(gateways["gateway"][1], "wsdgateway_escl_requests_total", resource="ScannerStatus", status="200"):
            raise SystemExit("the gateway has counted no ScannerStatus")
    return [Line(work, "load's core", "/s", found["gateway"], "nginx, the same bytes", found["nginx"],
                 ratios(found["gateway again"], found["gateway"]))]


def keep_alive(rounds: int, seconds: int) -> list[Line]:
    """ScannerStatus on connections that stay open."""
    return _statuses("eSCL: ScannerStatus, keep-alive", rounds, seconds, close=False)


def new_connections(rounds: int, seconds: int) -> list[Line]:
    """ScannerStatus, each on a connection of its own, as both of SANE's backends do."""
    return _statuses("eSCL: ScannerStatus, a new connection each", rounds, seconds, close=True)


def fetch(port: int, path: str) -> float:
    """Fetches all pages of a job, or a file as often, on one connection; returns MiB a second.

    The pages are not copied to this process (MSG_TRUNC), so that it does not limit the transfer.
    """
    buffer = bytearray(1 << 20)
    with socket.create_connection(("127.0.0.1", port), WAIT_SECONDS) as connection:
        began = time.perf_counter()
        for _ in range(PAGES):
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            head, _, begin = head.partition(b"\r\n\r\n")
            size = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
            if not head.startswith(b"HTTP/1.1 200") or size is None or int(size[1]) != PAGE:
                raise SystemExit(f"{path} at port {port}: {head.decode()}")
            left = PAGE - len(begin)
            while left:
                left -= connection.recv_into(buffer, min(left, len(buffer)), socket.MSG_TRUNC)
        return PAGES * (PAGE >> 20) / (time.perf_counter() - began)


def _rate(port: int, path: str) -> float:
    """Fetches the pages from a process of its own; returns MiB a second."""
    command = ["taskset", "-c", LOAD_CORE, sys.executable, __file__, str(port), path]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=120).stdout)


def _scan(port: int, admin: int) -> float:
    """Scans, waits until all pages are in the spool, and fetches them. Returns the MiB a second of the last."""
    status, job, _ = ask(port, "POST", f"{ROOT}/ScanJobs", SETTINGS)
    if status != 201:
        raise SystemExit(f"ScanJobs: {status}")
    _until(lambda: metric(admin, "wsdgateway_spool_bytes") == PAGES * PAGE, "all pages")
    try:
        return _rate(port, f"{job}/NextDocument")
    finally:
        ask(port, "DELETE", job)
        _until(lambda: metric(admin, "wsdgateway_spool_bytes") == 0, "an empty spool")


def pages(rounds: int, seconds: int) -> list[Line]:
    """Pages that wait in the spool, fetched one after the other."""
    work = f"eSCL: pages of {PAGE >> 20} MiB from the spool"
    with tempfile.TemporaryDirectory() as temporary, _gateways(Path(temporary)) as gateways:
        folder, constant = Path(temporary), free_port()
        folder.chmod(0o755)
        (folder / "www").mkdir()
        (folder / "www" / "page.jpg").write_bytes(b"\xff\xd8".ljust(PAGE, b"\0"))
        serving = f"server {{ listen 127.0.0.1:{constant}; root {folder}/www; sendfile on; }}"
        with nginx(folder / "nginx", serving, constant, SERVER_CORE):
            found = interleaved(work, rounds + 1, {
                "gateway": lambda: _scan(*gateways["gateway"]), "nginx": lambda: _rate(constant, "/page.jpg"),
                "gateway again": lambda: _scan(*gateways["gateway again"])})
    warm = {name: rates[1:] for name, rates in found.items()}
    return [Line(work, "load's core", "MiB/s", warm["gateway"], "nginx, the same bytes, from a file", warm["nginx"],
                 ratios(warm["gateway again"], warm["gateway"]))]


if __name__ == "__main__":
    print(fetch(int(sys.argv[1]), sys.argv[2]))
