"""(d) Measures the effect of 50 polling clients on a weak scanner, and on the client that scans.

The scanner needs 30 ms for every request and serves two connections at a time. One client scans 40 pages from the
feeder while 50 others read the job's status twice a second, each time on a new connection, as clients in the field do.
It is measured directly at the scanner, through nginx, and through the gateway.
"""

import asyncio
import json
import re
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

from peers import LOAD_CORE, SERVER_CORE, SOAP, free_port, gateway, nginx, running

PAGES, CLIENTS, INTERVAL = 40, 50, 0.5


def message(action: str, body: str) -> bytes:
    """Returns a request for the scan service."""
    return SOAP.format(to="http://127.0.0.1/front-desk/scan", action=action, related="", body=body).encode().replace(
        b"37f86d35-e6ac-4241-964f-1d9ae46fb366", f"{time.time_ns():032x}".encode())


async def ask(port: int, path: str, body: bytes) -> bytes:
    """Sends one request on a connection of its own. Returns the whole answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"POST " + path.encode() + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                     b"Content-Type: application/soap+xml\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        return await reader.read()
    finally:
        writer.close()


async def poll(port: int, path: str, job_id: str, done: asyncio.Event, times: list[float]) -> None:
    """Polls the job's status like a client that does not scan itself."""
    request = ("<wscn:GetJobElementsRequest><wscn:JobId>" + job_id + "</wscn:JobId><wscn:RequestedElements>"
               "<wscn:Name>wscn:JobStatus</wscn:Name></wscn:RequestedElements></wscn:GetJobElementsRequest>")
    while not done.is_set():
        began = time.perf_counter()
        answer = await ask(port, path, message("GetJobElements", request))
        times.append(time.perf_counter() - began)
        if b"JobState>" not in answer:
            raise SystemExit(f"no status: {answer[:300]!r}")
        await asyncio.sleep(max(0.0, INTERVAL - (time.perf_counter() - began)))


async def scan(port: int, path: str) -> tuple[float, list[float]]:
    """Scans 40 pages while 50 clients poll. Returns the seconds for the job and for each status read."""
    began = time.perf_counter()
    answer = await ask(port, path, message("CreateScanJob", (
        "<wscn:CreateScanJobRequest><wscn:ScanTicket><wscn:DocumentParameters><wscn:InputSource>ADF</wscn:InputSource>"
        "<wscn:ImagesToTransfer>0</wscn:ImagesToTransfer></wscn:DocumentParameters></wscn:ScanTicket>"
        "</wscn:CreateScanJobRequest>")))
    job_id, token = (re.search(rb"%s>([^<]+)<" % name, answer)[1].decode() for name in (b"JobId", b"JobToken"))
    done, times = asyncio.Event(), []
    pollers = [asyncio.create_task(poll(port, path, job_id, done, times)) for _ in range(CLIENTS)]
    for _ in range(PAGES):
        answer = await ask(port, path, message("RetrieveImage", (
            f"<wscn:RetrieveImageRequest><wscn:JobId>{job_id}</wscn:JobId><wscn:JobToken>{token}</wscn:JobToken>"
            "</wscn:RetrieveImageRequest>")))
        if b"image/jpeg" not in answer:
            raise SystemExit(f"no image: {answer[:300]!r}")
    seconds = time.perf_counter() - began
    done.set()
    await asyncio.gather(*pollers)
    return seconds, times


def measure() -> dict[str, dict[str, float]]:
    """Returns for each way to the scanner its status reads, the seconds for the job, and the milliseconds of a read."""
    found = {}
    twistd = str(Path(sys.executable).with_name("twistd"))
    for way in ("direct", "nginx", "gateway"):
        device, front, control = free_port(), free_port(), None
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "scanner.toml").write_text(
                f'[scanner]\nendpoint = "tcp:{device}:interface=127.0.0.1:backlog=512"\nfeeder_pages = {PAGES}\n'
                "request_seconds = 0.03\nconnections = 2\npage_seconds = 0.3\n")
            proxy = f"server {{ listen 127.0.0.1:{front}; location / {{ proxy_pass http://127.0.0.1:{device}; }} }}"
            with running([twistd, "-n", "--pidfile=", "wsdscanner", "--config", "scanner.toml"], device, LOAD_CORE,
                         cwd=folder):
                if way == "direct":
                    seconds, times = asyncio.run(scan(device, "/WDP/SCAN"))
                elif way == "nginx":
                    with nginx(folder / "proxy", proxy, front, SERVER_CORE):
                        seconds, times = asyncio.run(scan(front, "/WDP/SCAN"))
                else:
                    with gateway(folder / "gateway", front, f"http://127.0.0.1:{device}/WDP/SCAN"):
                        time.sleep(1.0)
                        seconds, times = asyncio.run(scan(front, "/front-desk/scan"))
                control = json.loads(urlopen(f"http://127.0.0.1:{device}/control/", timeout=30).read())
        times.sort()
        found[way] = {"reads made": len(times), "reads at the scanner": control["asked"].get("GetJobElements", 0),
                      "job, s": seconds, "read p50, ms": times[len(times) // 2] * 1e3,
                      "read p99, ms": times[len(times) * 99 // 100] * 1e3}
    return found


if __name__ == "__main__":
    results = measure()
    print(f"{'':24}" + "".join(f"{way:>12}" for way in results))
    for row in next(iter(results.values())):
        print(f"{row:24}" + "".join(f"{result[row]:12,.1f}" for result in results.values()))
