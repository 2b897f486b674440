"""The relay of images beside nginx with default settings, and the delay of status reads meanwhile."""

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import client
from client import Load
from peers import (
    DEVICE_CORES,
    JOB_STATUS,
    LOAD_CORE,
    RETRIEVE_IMAGE,
    SERVER_CORE,
    answering,
    default_proxying,
    free_port,
    gateway,
    metric,
    nginx,
    peak_rss,
)
from table import WARM_UP_SECONDS, Line, Target, interleaved, ratios

MIB, TRANSFERS = 512, 3
BOUNDARY = "b-o-u-n-d-a-r-y"
RATE, IMAGES = 2000, 4


def write_image(path: Path) -> None:
    """Writes a multipart/related answer with one image to a file that nginx serves without copying."""
    with path.open("wb") as file:
        file.write(f"--{BOUNDARY}\r\nContent-Type: application/xop+xml\r\n\r\n<x/>\r\n--{BOUNDARY}\r\n"
                   "Content-Type: image/jpeg\r\n\r\n".encode())
        block = os.urandom(1 << 20)
        for _ in range(MIB):
            file.write(block)
        file.write(f"\r\n--{BOUNDARY}--\r\n".encode())


@contextlib.contextmanager
def image_device(port: int, core: str, nice: int = 0) -> Iterator[Path]:
    """Runs a device that answers every request with the image, with that priority. The block gets a folder in memory
    for other files.
    """
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "www").mkdir()
        write_image(folder / "www" / "scan")
        serving = (f"server {{ listen 127.0.0.1:{port}; root {folder}/www; sendfile on; error_page 405 =200 $uri; "
                   f'default_type "multipart/related; boundary={BOUNDARY}"; }}')
        with nginx(folder / "device", serving, port, core, nice):
            yield folder


def fetch(port: int, path: str, request: bytes) -> float:
    """Fetches an image; returns MiB a second. The image is not copied to this process (MSG_TRUNC), because the client
    shares its core with the device and must not be what limits the transfer.
    """
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
                           f"Content-Type: application/soap+xml\r\nContent-Length: {len(request)}\r\n\r\n".encode()
                           + request)
        begin = connection.recv(len("HTTP/1.1 200"), socket.MSG_WAITALL)
        size, buffer = 0, bytearray(1 << 20)
        while received := connection.recv_into(buffer, len(buffer), socket.MSG_TRUNC):
            size += received
    if begin != b"HTTP/1.1 200" or size < MIB << 20:
        raise SystemExit(f"{path} at port {port}: {begin.decode()}, {size:,} bytes")
    return MIB / (time.perf_counter() - began)


def fetching(port: int, path: str, times: int = 1) -> list[str]:
    """Returns the command that fetches an image so many times and prints the MiB a second of each."""
    return ["taskset", "-c", LOAD_CORE, sys.executable, __file__, str(port), path, str(times)]


def transfer_rate(port: int, path: str) -> float:
    """Fetches an image from a process of its own; returns MiB a second."""
    return float(subprocess.run(fetching(port, path), check=True, stdout=subprocess.PIPE, timeout=120).stdout)


def images(rounds: int, seconds: int) -> list[Line]:
    """Transfers of an image. There are two process starts for each round, and each start counts with the median of its
    transfers.
    """
    lines, memory, work = [], [], f"image of {MIB} MiB"
    for where, core in DEVICE_CORES.items():
        device, proxy, first, second = (free_port() for _ in range(4))
        programs = {"gateway": (first, "/front-desk/scan"), "nginx": (proxy, "/scan"), "device": (device, "/scan"),
                    "gateway again": (second, "/front-desk/scan")}
        found: dict[str, list[float]] = {name: [] for name in programs}
        with image_device(device, core) as folder:
            scan = f"http://127.0.0.1:{device}/scan"
            for start in range(2 * rounds):
                with (nginx(folder / "proxy", default_proxying(proxy, device), proxy, SERVER_CORE),
                      gateway(folder / "1", first, scan, scanner='events = "off"') as process,
                      gateway(folder / "2", second, scan, scanner='events = "off"')):
                    transfers = interleaved(
                        f"{work}, device on the {where}, start {start + 1} of {2 * rounds}", TRANSFERS,
                        {name: lambda place=place: transfer_rate(*place) for name, place in programs.items()})
                    memory.append(peak_rss(process.pid))
                for name, rates in transfers.items():
                    found[name].append(statistics.median(rates))
        middle = statistics.median(found["gateway"])
        lines += [
            Line(work, where, "MiB/s", found["gateway"], "nginx, default settings", found["nginx"],
                 ratios(found["gateway again"], found["gateway"]), Target("≥", 1.3, each=True)),
            Line(f"{work}: process starts beside their median", where, "MiB/s", found["gateway"], "median",
                 [middle] * len(found["gateway"]), target=Target("≥", 0.9, each=True)),
            Line(f"{work}: straight from the device", where, "MiB/s", found["device"])]
    lines.append(Line(f"{work}: peak memory", "", "MiB", memory, target=Target("<", 80, each=True, unit="MiB")))
    return lines


def latency(rounds: int, seconds: int) -> list[Line]:
    """Status reads at a fixed rate, while four images are fetched again and again, and at rest.

    The images' clients and their device have the lowest priority, so that the client of the status reads, on the same
    core, does not wait for them.
    """
    images_device, device, port, admin = (free_port() for _ in range(4))
    results: dict[str, list[client.Result]] = {"at rest": [], "during images": []}
    relayed: list[float] = []
    with (image_device(images_device, LOAD_CORE, nice=19) as folder,
          nginx(folder / "status", answering(device, JOB_STATUS), device, LOAD_CORE),
          gateway(folder / "gateway", port, f"http://127.0.0.1:{device}/scan",
                  f'[[scanner]]\nname = "images"\nscan = "http://127.0.0.1:{images_device}/scan"\nevents = "off"\n'
                  f"max_connections = {IMAGES}\n", 'events = "off"', admin=admin)):
        client.run(port, Load(WARM_UP_SECONDS, rate=RATE))

        def read(when: str) -> float:
            result = client.run(port, Load(seconds, rate=RATE))
            if result.answered != result.sent:
                raise SystemExit(f"{result.answered} of {result.sent} status reads were answered")
            results[when].append(result)
            return result.percentile(0.99)

        def read_during_images() -> float:
            command = ["nice", "-n", "19", *fetching(port, "/images/scan", 1_000_000)]
            with contextlib.ExitStack() as stack:
                for _ in range(IMAGES):
                    fetching_images = stack.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL))
                    stack.callback(fetching_images.kill)
                time.sleep(0.5)
                before, began = metric(admin, "wsdgateway_image_bytes_total"), time.monotonic()
                found = read("during images")
                relayed.append((metric(admin, "wsdgateway_image_bytes_total") - before) / (1 << 20)
                               / (time.monotonic() - began))
            return found

        interleaved("latency", rounds, {"at rest": lambda: read("at rest"), "during images": read_during_images})
    work = f"status reads, {RATE:,}/s, while {IMAGES} images are relayed"
    return [
        Line(f"{work}: p99", "load's core", "ms", [result.percentile(0.99) for result in results["during images"]],
             "at rest", [result.percentile(0.99) for result in results["at rest"]], target=Target("≤", 3, unit="ms")),
        Line(f"{work}: p50", "load's core", "ms", [result.percentile(0.5) for result in results["during images"]],
             "at rest", [result.percentile(0.5) for result in results["at rest"]]),
        Line(f"{work}: the images", "load's core", "MiB/s", relayed)]


if __name__ == "__main__":
    for _ in range(int(sys.argv[3])):
        print(fetch(int(sys.argv[1]), sys.argv[2], RETRIEVE_IMAGE.encode()))
