"""Requests forwarded to the trivial device, beside nginx, and beside twisted.web with its Agent."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from peers import (
    DEVICE_CORES,
    GET_SCANNER_ELEMENTS,
    JOB_STATUS,
    SERVER_CORE,
    answering,
    default_proxying,
    free_port,
    gateway,
    metric,
    nginx,
    proxying,
    script,
    wrk,
)
from status_reads import check_share
from table import WARM_UP_SECONDS, Line, Target, interleaved, ratios

WORK = "forwarded requests, keep-alive"
CONNECTIONS = 32
SCANNER = f'events = "off"\nmax_connections = {CONNECTIONS}\ncache = false'
TARGETS = {"nginx that keeps its connections": Target("≥", 0.35), "nginx, default settings": Target("≥", 1.0),
           "twisted.web and Agent": None}


def forwarded(rounds: int, seconds: int) -> list[Line]:
    """Requests that the gateway neither keeps nor shares, over as many connections to the device as from clients."""
    lines = []
    for where, core in DEVICE_CORES.items():
        device, proxy, default, first, second, admin, web = (free_port() for _ in range(7))
        kept, plain, agent = TARGETS
        with tempfile.TemporaryDirectory() as temporary:
            folder, scan = Path(temporary), f"http://127.0.0.1:{device}/scan"
            with (nginx(folder / "device", answering(device, JOB_STATUS), device, core),
                  nginx(folder / "proxy", proxying(proxy, device, CONNECTIONS), proxy, SERVER_CORE),
                  nginx(folder / "default", default_proxying(default, device), default, SERVER_CORE),
                  gateway(folder / "1", first, scan, scanner=SCANNER, admin=admin),
                  gateway(folder / "2", second, scan, scanner=SCANNER),
                  script("peer_forward.py", web, SERVER_CORE, scan)):
                urls = {"gateway": f"http://127.0.0.1:{first}/front-desk/scan",
                        kept: f"http://127.0.0.1:{proxy}/scan", plain: f"http://127.0.0.1:{default}/scan",
                        agent: f"http://127.0.0.1:{web}/",
                        "gateway again": f"http://127.0.0.1:{second}/front-desk/scan"}

                def programs(urls: dict[str, str], seconds: int) -> dict[str, Callable[[], float]]:
                    return {peer: lambda url=url: wrk(url, GET_SCANNER_ELEMENTS, seconds=seconds,
                                                      connections=CONNECTIONS) for peer, url in urls.items()}

                interleaved(f"{WORK} (warming up)", 1, programs(urls, WARM_UP_SECONDS))
                labels = {"operation": "GetScannerElements", "source": "device"}
                before = metric(admin, "wsdgateway_requests_total", **labels)
                found = interleaved(f"{WORK}, device on the {where}", rounds, programs(urls, seconds))
                check_share(metric(admin, "wsdgateway_requests_total", **labels) - before,
                            sum(found["gateway"]) * seconds, "forwarded")
        noise = ratios(found["gateway again"], found["gateway"])
        lines += [Line(WORK, where, "/s", found["gateway"], peer, found[peer], noise, target)
                  for peer, target in TARGETS.items()]
    return lines
