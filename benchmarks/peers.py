"""The programs with which the gateway is compared, and the trivial device behind all of them.

Everything runs on loopback; servers are pinned to the first core, load and devices to the second.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

SERVER_CORE, LOAD_CORE = "0", "1"

SOAP = ('<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope" '
        'xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
        'xmlns:wscn="http://schemas.microsoft.com/windows/2006/08/wdp/scan"><soap:Header>'
        "<wsa:To>{to}</wsa:To><wsa:Action>http://schemas.microsoft.com/windows/2006/08/wdp/scan/{action}</wsa:Action>"
        "<wsa:MessageID>urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366</wsa:MessageID>{related}</soap:Header>"
        "<soap:Body>{body}</soap:Body></soap:Envelope>")

GET_JOB_ELEMENTS = SOAP.format(
    to="http://127.0.0.1/front-desk/scan", action="GetJobElements", related="",
    body="<wscn:GetJobElementsRequest><wscn:JobId>1</wscn:JobId><wscn:RequestedElements>"
         "<wscn:Name>wscn:JobStatus</wscn:Name></wscn:RequestedElements></wscn:GetJobElementsRequest>")
GET_SCANNER_ELEMENTS = SOAP.format(
    to="http://127.0.0.1/front-desk/scan", action="GetScannerElements", related="",
    body="<wscn:GetScannerElementsRequest><wscn:RequestedElements><wscn:Name>wscn:ScannerStatus</wscn:Name>"
         "</wscn:RequestedElements></wscn:GetScannerElementsRequest>")
RETRIEVE_IMAGE = SOAP.format(
    to="http://127.0.0.1/front-desk/scan", action="RetrieveImage", related="",
    body="<wscn:RetrieveImageRequest><wscn:JobId>1</wscn:JobId><wscn:JobToken>1</wscn:JobToken>"
         "</wscn:RetrieveImageRequest>")
JOB_STATUS = SOAP.format(
    to="http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous", action="GetJobElementsResponse",
    related="<wsa:RelatesTo>urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366</wsa:RelatesTo>",
    body='<wscn:GetJobElementsResponse><wscn:JobElements><wscn:ElementData Name="wscn:JobStatus" Valid="true">'
         "<wscn:JobStatus><wscn:JobId>1</wscn:JobId><wscn:JobState>Completed</wscn:JobState><wscn:JobStateReasons>"
         "<wscn:JobStateReason>None</wscn:JobStateReason></wscn:JobStateReasons>"
         "<wscn:ScansCompleted>1</wscn:ScansCompleted></wscn:JobStatus></wscn:ElementData></wscn:JobElements>"
         "</wscn:GetJobElementsResponse>")


def free_port() -> int:
    """Returns a port that is currently free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, seconds: float = 15.0) -> None:
    """Waits until a server listens on the port."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


@contextlib.contextmanager
def running(command: list[str], port: int, core: str, **more: object) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a server process; the block is entered when it listens."""
    process = subprocess.Popen(["taskset", "-c", core, *command], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, **more)  # type: ignore[call-overload]
    try:
        wait_for(port)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)


@contextlib.contextmanager
def nginx(folder: Path, http: str, port: int, core: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs nginx with one worker and this content of its http block."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log; user root;\n"
        "events { worker_connections 4096; }\n"
        f"http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/body;\n"
        f"proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;\n"
        f"scgi_temp_path {folder}/s;\n{http}\n}}\n")
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    with running([program, "-c", str(file), "-p", str(folder)], port, core) as server:
        yield server


def answering(port: int, body: str) -> str:
    """Returns an http block for a device that gives the same answer to every request."""
    quoted = body.replace("'", "\\'")
    return (f"server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ default_type application/soap+xml; "
            f"return 200 '{quoted}'; }} }}")


def proxying(port: int, device: int, connections: int = 32) -> str:
    """Returns an http block for a reverse proxy with persistent connections to the device."""
    return (f"upstream device {{ server 127.0.0.1:{device}; keepalive {connections}; keepalive_requests 100000000; }}\n"
            f"server {{ listen 127.0.0.1:{port} backlog=4096; client_max_body_size 0; location / {{ "
            "proxy_pass http://device; proxy_http_version 1.1; proxy_set_header Connection ''; } }")


@contextlib.contextmanager
def gateway(folder: Path, port: int, scan: str, more: str = "", scanner: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """Runs the gateway in front of one scanner, `front-desk`."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "gateway.toml"
    file.write_text(
        '[gateway]\nstate = "memory:"\n'
        f'[[listen]]\nendpoint = "tcp:{port}:interface=127.0.0.1:backlog=4096"\n'
        f'[[scanner]]\nname = "front-desk"\nscan = "{scan}"\n{scanner}\n'
        f'[admin]\nendpoint = "tcp:{free_port()}:interface=127.0.0.1"\n{more}\n')
    twistd = Path(sys.executable).with_name("twistd")
    with running([str(twistd), "-n", "--pidfile=", "wsdgateway", "--config", str(file)], port, SERVER_CORE,
                 cwd=folder) as server:
        yield server


@contextlib.contextmanager
def script(name: str, port: int, core: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs one of the Python peers beside this file."""
    path = Path(__file__).with_name(name)
    with running([sys.executable, str(path), str(port), *arguments], port, core) as server:
        yield server


def wrk(url: str, body: str, *, seconds: int, close: bool = False, connections: int = 32) -> float:
    """Returns the number of answers a second. Any answer other than 200 ends the benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        lua = Path(folder) / "post.lua"
        lua.write_text(
            f'wrk.method = "POST"\nwrk.body = [==[{body}]==]\n'
            'wrk.headers["Content-Type"] = "application/soap+xml"\n'
            + ('wrk.headers["Connection"] = "close"\n' if close else "")
            + "done = function(summary, latency, requests)\n"
              "  io.write(string.format('RESULT %d %d %d %d\\n', summary.requests, summary.duration, "
              "summary.errors.status, summary.errors.connect + summary.errors.read + summary.errors.timeout))\nend\n")
        output = subprocess.run(
            ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(lua), url],
            check=True, capture_output=True, text=True).stdout
    result = next(line for line in output.splitlines() if line.startswith("RESULT")).split()[1:]
    requests, duration, refused, broken = map(int, result)
    if refused or (broken and not close):
        raise SystemExit(f"{url}: {refused} answers were not 200, {broken} requests broke")
    return requests / (duration / 1e6)


def peak_rss(pid: int) -> float:
    """Returns the peak memory of a process and its children, in MiB."""
    total = 0.0
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for process in (str(pid), *children):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                total = max(total, int(line.split()[1]) / 1024)
    return total


def cores() -> int:
    """Returns the number of available cores."""
    return len(os.sched_getaffinity(0))
