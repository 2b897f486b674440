"""The programs with which the gateway is compared, the trivial device behind all of them, and the load from `wrk`.

Everything runs on loopback; servers are pinned to the first core, load and devices to the second.
"""

import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.request import urlopen

SERVER_CORE, LOAD_CORE = "0", "1"
DEVICE_CORES = {"server's core": SERVER_CORE, "load's core": LOAD_CORE}
MESSAGE_ID = "37f86d35-e6ac-4241-964f-1d9ae46fb366"

SOAP = ('<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope" '
        'xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
        'xmlns:wscn="http://schemas.microsoft.com/windows/2006/08/wdp/scan"><soap:Header>'
        "<wsa:To>{to}</wsa:To><wsa:Action>http://schemas.microsoft.com/windows/2006/08/wdp/scan/{action}</wsa:Action>"
        "<wsa:MessageID>urn:uuid:" + MESSAGE_ID + "</wsa:MessageID>{related}</soap:Header>"
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
    related=f"<wsa:RelatesTo>urn:uuid:{MESSAGE_ID}</wsa:RelatesTo>",
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


def wait_for(port: int, process: subprocess.Popen[bytes], seconds: float = 60.0) -> None:
    """Waits until a server process listens on the port."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}: {shlex.join(map(str, process.args))}")


@contextlib.contextmanager
def running(command: list[str], port: int, core: str, **more: object) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a server process; the block is entered when it listens."""
    process = subprocess.Popen(["taskset", "-c", core, *command], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, **more)  # type: ignore[call-overload]
    try:
        wait_for(port, process)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def nginx(folder: Path, http: str, port: int, core: str, nice: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    """Runs nginx with one worker of that priority, and this content of its http block."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; worker_processes 1; worker_priority {nice}; pid {folder}/pid; user root;\n"
        f"error_log {folder}/error.log;\n"
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


def default_proxying(port: int, device: int) -> str:
    """Returns an http block for a reverse proxy with default settings: a new connection to the device for each
    request.
    """
    return f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{device}; }} }}"


@contextlib.contextmanager
def gateway(folder: Path, port: int, scan: str, more: str = "", scanner: str = "", *, admin: int = 0,
            state: str = "memory:") -> Iterator[subprocess.Popen[bytes]]:
    """Runs the gateway in front of one scanner, `front-desk`. `admin` is the port of its admin site."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "gateway.toml"
    file.write_text(
        f'[gateway]\nstate = "{state}"\n'
        f'[[listen]]\nendpoint = "tcp:{port}:interface=127.0.0.1:backlog=4096"\n'
        f'[[scanner]]\nname = "front-desk"\nscan = "{scan}"\n{scanner}\n'
        f'[admin]\nendpoint = "tcp:{admin or free_port()}:interface=127.0.0.1"\n{more}\n')
    twistd = Path(sys.executable).with_name("twistd")
    with running([str(twistd), "-n", "--pidfile=", "wsdgateway", "--config", str(file)], port, SERVER_CORE,
                 cwd=folder) as server:
        yield server


def metric(admin: int, name: str, **labels: str) -> float:
    """Returns the sum of a metric of the gateway over all series with these labels."""
    with urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name}{{", f"{name} "))
               and all(f'{label}="{value}"' in line for label, value in labels.items()))


@contextlib.contextmanager
def script(name: str, port: int, core: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs one of the Python peers beside this file."""
    path = Path(__file__).with_name(name)
    with running([sys.executable, str(path), str(port), *arguments], port, core) as server:
        yield server


def wrk(url: str, body: str, *, seconds: int, close: bool = False, connections: int = 32,
        paths: Sequence[str] = ()) -> float:
    """Returns the number of answers a second. Any answer other than 200 ends the benchmark.

    There are a thousand requests, each with a MessageID of its own, which are sent in turn. With `paths`, they are for
    these paths in turn.
    """
    start, _, end = body.partition(MESSAGE_ID)
    listed = ", ".join(f'"{path}"' for path in paths)
    return _wrk(
        url, 'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/soap+xml"\n'
             f"local paths = {{{listed}}}\nlocal requests, turn = {{}}, 0\n"
             "function init(args)\n  for i = 1, 1000 do\n"
             f"    requests[i] = wrk.format(nil, paths[i % #paths + 1], nil, [==[{start}]==] .. "
             f"string.format('{MESSAGE_ID[:-12]}%012d', i) .. [==[{end}]==])\n"
             "  end\nend\n"
             "function request()\n  turn = turn % 1000 + 1\n  return requests[turn]\nend\n",
        seconds=seconds, close=close, connections=connections)


def wrk_get(url: str, *, seconds: int, close: bool = False, connections: int = 32) -> float:
    """Returns the number of answers to GET a second. Any answer other than 200 ends the benchmark."""
    return _wrk(url, "", seconds=seconds, close=close, connections=connections)


def _wrk(url: str, script: str, *, seconds: int, close: bool, connections: int) -> float:
    """Runs wrk with this Lua script, and with `Connection: close` if so wanted. Returns the answers a second."""
    with tempfile.TemporaryDirectory() as folder:
        lua = Path(folder) / "requests.lua"
        lua.write_text(
            ('wrk.headers["Connection"] = "close"\n' if close else "") + script
            + "function done(summary, latency, requests)\n"
              "  io.write(string.format('RESULT %d %d %d %d\\n', summary.requests, summary.duration, "
              "summary.errors.status, summary.errors.connect + summary.errors.read + summary.errors.timeout))\nend\n")
        output = subprocess.run(
            ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(lua), url],
            check=True, capture_output=True, text=True, timeout=seconds + 60).stdout
    result = next(line for line in output.splitlines() if line.startswith("RESULT")).split()[1:]
    requests, duration, refused, broken = map(int, result)
    if refused or (broken and not close):
        raise SystemExit(f"{url}: {refused} answers were not 200, {broken} requests broke")
    return requests / (duration / 1e6)


def processor_time(pid: int) -> float:
    """Returns the processor time of all threads of a process so far, in seconds (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


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
