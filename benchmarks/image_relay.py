"""(c) Measures the transfer of one image of 512 MiB, in MiB a second and peak memory, compared with nginx and its
default settings.
"""

import os
import subprocess
import tempfile
import time
from pathlib import Path

from peers import LOAD_CORE, RETRIEVE_IMAGE, SERVER_CORE, free_port, gateway, nginx, peak_rss

MIB = 512
BOUNDARY = "b-o-u-n-d-a-r-y"


def write_image(path: Path) -> None:
    """Writes a multipart/related answer with one image to a file that nginx serves without copying."""
    with path.open("wb") as file:
        file.write(f"--{BOUNDARY}\r\nContent-Type: application/xop+xml\r\n\r\n<x/>\r\n--{BOUNDARY}\r\n"
                   "Content-Type: image/jpeg\r\n\r\n".encode())
        block = os.urandom(1 << 20)
        for _ in range(MIB):
            file.write(block)
        file.write(f"\r\n--{BOUNDARY}--\r\n".encode())


def fetch(url: str, request: Path) -> float:
    """Returns the seconds for one image."""
    began = time.perf_counter()
    subprocess.run(
        ["taskset", "-c", LOAD_CORE, "curl", "-sf", "-o", "/dev/null", "-H", "Content-Type: application/soap+xml",
         "--data-binary", f"@{request}", url], check=True)
    return time.perf_counter() - began


def measure(rounds: int) -> dict[str, tuple[float, float]]:
    """Returns MiB a second in the best round and peak MiB of memory for each peer."""
    device, proxy, ours = (free_port() for _ in range(3))
    found: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "www").mkdir()
        write_image(folder / "www" / "scan")
        request = folder / "request.xml"
        request.write_text(RETRIEVE_IMAGE)
        serving = (f"server {{ listen 127.0.0.1:{device}; root {folder}/www; sendfile on; error_page 405 =200 $uri; "
                   f'default_type "multipart/related; boundary={BOUNDARY}"; }}')
        default = f"server {{ listen 127.0.0.1:{proxy}; location / {{ proxy_pass http://127.0.0.1:{device}; }} }}"
        with (nginx(folder / "device", serving, device, LOAD_CORE),
              nginx(folder / "proxy", default, proxy, SERVER_CORE) as nginx_process,
              gateway(folder / "gateway", ours, f"http://127.0.0.1:{device}/scan",
                      scanner='events = "off"') as process):
            peers = {"direct": (f"http://127.0.0.1:{device}/scan", None),
                     "gateway": (f"http://127.0.0.1:{ours}/front-desk/scan", process),
                     "nginx": (f"http://127.0.0.1:{proxy}/scan", nginx_process)}
            for _ in range(rounds):
                for peer, (url, server) in peers.items():
                    rate = MIB / fetch(url, request)
                    memory = peak_rss(server.pid) if server is not None else 0.0
                    best = found.get(peer, (0.0, 0.0))
                    found[peer] = (max(best[0], rate), max(best[1], memory))
    return found


if __name__ == "__main__":
    for peer, (rate, memory) in measure(4).items():
        print(f"{peer:16} {rate:8,.0f} MiB/s  peak {memory:6.1f} MiB")
