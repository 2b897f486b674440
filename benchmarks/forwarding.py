"""(b) Measures requests forwarded to a trivial device, in requests a second, compared with nginx and with twisted.web
and its Agent.
"""

import tempfile
from pathlib import Path

from peers import (
    GET_SCANNER_ELEMENTS,
    JOB_STATUS,
    LOAD_CORE,
    SERVER_CORE,
    answering,
    free_port,
    gateway,
    nginx,
    proxying,
    script,
    wrk,
)


def measure(seconds: int, rounds: int, device_core: str) -> dict[str, float]:
    """Returns requests a second, the best round of each peer; the rounds are interleaved."""
    device, proxy, default, ours, web = (free_port() for _ in range(5))
    plain = f"server {{ listen 127.0.0.1:{default}; location / {{ proxy_pass http://127.0.0.1:{device}; }} }}"
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (nginx(folder / "device", answering(device, JOB_STATUS), device, device_core),
              nginx(folder / "proxy", proxying(proxy, device), proxy, SERVER_CORE),
              nginx(folder / "default", plain, default, SERVER_CORE),
              gateway(folder / "gateway", ours, f"http://127.0.0.1:{device}/scan",
                      scanner='events = "off"\nmax_connections = 32\ncache = false'),
              script("peer_forward.py", web, SERVER_CORE, f"http://127.0.0.1:{device}/scan")):
            urls = {"gateway": f"http://127.0.0.1:{ours}/front-desk/scan", "nginx": f"http://127.0.0.1:{proxy}/scan",
                    "nginx, default settings": f"http://127.0.0.1:{default}/scan",
                    "twisted.web and Agent": f"http://127.0.0.1:{web}/"}
            for _ in range(rounds):
                for peer, url in urls.items():
                    found[peer] = max(found.get(peer, 0.0), wrk(url, GET_SCANNER_ELEMENTS, seconds=seconds))
    return found


if __name__ == "__main__":
    for where, core in (("on the server's core", SERVER_CORE), ("on the core of the load", LOAD_CORE)):
        print(f"the trivial device {where}:")
        for peer, rate in measure(4, 2, core).items():
            print(f"  {peer:32} {rate:10,.0f} requests/s")
