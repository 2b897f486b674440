"""(a) Measures GetJobElements answered from the job table, in answers a second on one core.

It is compared with nginx as a reverse proxy to a trivial device, and with twisted.web and a constant body.
"""

import tempfile
from pathlib import Path

from peers import (
    GET_JOB_ELEMENTS,
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
    """Returns answers a second, the best round of each peer; the rounds are interleaved."""
    device, proxy, ours, web = (free_port() for _ in range(4))
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (nginx(folder / "device", answering(device, JOB_STATUS), device, device_core),
              nginx(folder / "proxy", proxying(proxy, device), proxy, SERVER_CORE),
              gateway(folder / "gateway", ours, f"http://127.0.0.1:{device}/scan", scanner='events = "off"'),
              script("peer_twisted_web.py", web, SERVER_CORE)):
            urls = {"gateway": f"http://127.0.0.1:{ours}/front-desk/scan", "nginx": f"http://127.0.0.1:{proxy}/scan",
                    "twisted.web": f"http://127.0.0.1:{web}/"}
            for close in (False, True):
                for _ in range(rounds):
                    for peer, url in urls.items():
                        key = f"{peer}, new connections" if close else peer
                        rate = wrk(url, GET_JOB_ELEMENTS, seconds=seconds, close=close)
                        found[key] = max(found.get(key, 0.0), rate)
    return found


if __name__ == "__main__":
    for where, core in (("on the server's core", SERVER_CORE), ("on the core of the load", LOAD_CORE)):
        print(f"the trivial device {where}:")
        for peer, rate in measure(4, 2, core).items():
            print(f"  {peer:32} {rate:10,.0f} answers/s")
