"""Status reads from the job table, and kept answers, beside nginx in front of the trivial device."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import client
from client import Load
from peers import (
    DEVICE_CORES,
    GET_JOB_ELEMENTS,
    JOB_STATUS,
    LOAD_CORE,
    MESSAGE_ID,
    SERVER_CORE,
    SOAP,
    answering,
    free_port,
    gateway,
    metric,
    nginx,
    processor_time,
    proxying,
    script,
    wrk,
)
from table import WARM_UP_SECONDS, Line, Target, interleaved, ratios

DELAY = 0.001
GET_ELEMENTS = SOAP.format(
    to="http://127.0.0.1/front-desk/scan", action="GetScannerElements", related="",
    body="<wscn:GetScannerElementsRequest><wscn:RequestedElements><wscn:Name>wscn:ScannerDescription</wscn:Name>"
         "<wscn:Name>wscn:ScannerConfiguration</wscn:Name></wscn:RequestedElements></wscn:GetScannerElementsRequest>")
SIDE = ("<wscn:{side}><wscn:OpticalResolution><wscn:Width>600</wscn:Width><wscn:Height>600</wscn:Height>"
        "</wscn:OpticalResolution><wscn:MinimumSize><wscn:Width>100</wscn:Width><wscn:Height>100</wscn:Height>"
        "</wscn:MinimumSize><wscn:MaximumSize><wscn:Width>8500</wscn:Width><wscn:Height>11700</wscn:Height>"
        "</wscn:MaximumSize><wscn:Color><wscn:ColorEntry>BlackAndWhite1</wscn:ColorEntry>"
        "<wscn:ColorEntry>Grayscale8</wscn:ColorEntry><wscn:ColorEntry>RGB24</wscn:ColorEntry></wscn:Color></wscn:{side}>")
ELEMENTS = SOAP.format(
    to="http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous", action="GetScannerElementsResponse",
    related=f"<wsa:RelatesTo>urn:uuid:{MESSAGE_ID}</wsa:RelatesTo>",
    body='<wscn:GetScannerElementsResponse><wscn:ScannerElements><wscn:ElementData Name="wscn:ScannerDescription" '
         'Valid="true"><wscn:ScannerDescription><wscn:ScannerName xml:lang="en-US">front-desk</wscn:ScannerName>'
         '<wscn:ScannerInfo xml:lang="en-US">A trivial device</wscn:ScannerInfo></wscn:ScannerDescription>'
         '</wscn:ElementData><wscn:ElementData Name="wscn:ScannerConfiguration" Valid="true">'
         "<wscn:ScannerConfiguration><wscn:Platen>"
         + SIDE.format(side="PlatenSide") + "</wscn:Platen><wscn:ADF>" + SIDE.format(side="ADFFront")
         + SIDE.format(side="ADFBack") + "</wscn:ADF></wscn:ScannerConfiguration></wscn:ElementData>"
         "</wscn:ScannerElements></wscn:GetScannerElementsResponse>")


def check_share(counted: float, answers: float, what: str) -> None:
    """Ends the benchmark if less than 99 % of the answers came from where they were to come from."""
    if counted < 0.99 * answers:
        raise SystemExit(f"only {counted:,.0f} of {answers:,.0f} answers were {what}")


def _read(work: str, rounds: int, seconds: int, *, request: str, answer: str, close: bool,
          targets: dict[str, Target | None], name: str, labels: dict[str, str], web: bool) -> list[Line]:
    """Measures the gateway, nginx and, if `web`, twisted.web with a constant body, for both places of the device.

    The metric `name` must count the gateway's answers with these labels.
    """
    lines = []
    for where, core in DEVICE_CORES.items():
        device, proxy, first, second, admin, constant = (free_port() for _ in range(6))
        with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
            folder, scan = Path(temporary), f"http://127.0.0.1:{device}/scan"
            stack.enter_context(nginx(folder / "device", answering(device, answer), device, core))
            stack.enter_context(nginx(folder / "proxy", proxying(proxy, device), proxy, SERVER_CORE))
            stack.enter_context(gateway(folder / "1", first, scan, scanner='events = "off"', admin=admin))
            stack.enter_context(gateway(folder / "2", second, scan, scanner='events = "off"'))
            urls = {"gateway": f"http://127.0.0.1:{first}/front-desk/scan", "nginx": f"http://127.0.0.1:{proxy}/scan"}
            if web:
                stack.enter_context(script("peer_twisted_web.py", constant, SERVER_CORE))
                urls["twisted.web"] = f"http://127.0.0.1:{constant}/"
            urls["gateway again"] = f"http://127.0.0.1:{second}/front-desk/scan"

            def programs(urls: dict[str, str], seconds: int) -> dict[str, Callable[[], float]]:
                return {peer: lambda url=url: wrk(url, request, seconds=seconds, close=close)
                        for peer, url in urls.items()}

            interleaved(f"{work} (warming up)", 1, programs(urls, WARM_UP_SECONDS))
            before = metric(admin, name, **labels)
            found = interleaved(f"{work}, device on the {where}", rounds, programs(urls, seconds))
            check_share(metric(admin, name, **labels) - before, sum(found["gateway"]) * seconds, "local")
        noise = ratios(found["gateway again"], found["gateway"])
        lines.append(Line(work, where, "/s", found["gateway"], "nginx", found["nginx"], noise, targets[where]))
        if web:
            lines.append(Line(work, where, "/s", found["gateway"], "twisted.web", found["twisted.web"], noise))
    return lines


def _both(limit: float) -> dict[str, Target | None]:
    return dict.fromkeys(DEVICE_CORES, Target("≥", limit))


def keep_alive(rounds: int, seconds: int) -> list[Line]:
    """Status reads on connections that stay open."""
    on_server, on_load = DEVICE_CORES
    return _read("status reads, keep-alive", rounds, seconds, request=GET_JOB_ELEMENTS, answer=JOB_STATUS, close=False,
                 targets={on_server: Target("≥", 1.0), on_load: Target("≥", 0.9)}, web=True,
                 name="wsdgateway_requests_total", labels={"operation": "GetJobElements", "source": "local"})


def new_connections(rounds: int, seconds: int) -> list[Line]:
    """Status reads, each on a connection of its own."""
    return _read("status reads, a new connection each", rounds, seconds, request=GET_JOB_ELEMENTS, answer=JOB_STATUS,
                 close=True, targets=_both(1.2), web=False,
                 name="wsdgateway_requests_total", labels={"operation": "GetJobElements", "source": "local"})


def kept_answers(rounds: int, seconds: int) -> list[Line]:
    """GetScannerElements for two elements that the gateway keeps for five minutes."""
    return _read("kept answers, keep-alive", rounds, seconds, request=GET_ELEMENTS, answer=ELEMENTS, close=False,
                 targets=_both(0.9), web=False,
                 name="wsdgateway_kept_answers_total", labels={"operation": "GetScannerElements", "outcome": "kept"})


@contextlib.contextmanager
def _two_gateways() -> Iterator[dict[str, tuple[int, int]]]:
    """Runs two gateways whose scanner's job is finished; each has its port and process id."""
    device, first, second = (free_port() for _ in range(3))
    with tempfile.TemporaryDirectory() as temporary:
        folder, scan = Path(temporary), f"http://127.0.0.1:{device}/scan"
        with (nginx(folder / "device", answering(device, JOB_STATUS), device, LOAD_CORE),
              gateway(folder / "1", first, scan, scanner='events = "off"') as one,
              gateway(folder / "2", second, scan, scanner='events = "off"') as two):
            yield {"gateway": (first, one.pid), "gateway again": (second, two.pid)}


def processor_time_per_read(port: int, load: Load, *pids: int) -> float:
    """Makes a load on a gateway. Returns the microseconds of processor time of these processes for each status read."""
    before = sum(map(processor_time, pids))
    result = client.run(port, load)
    if result.answered != result.sent:
        raise SystemExit(f"{result.answered} of {result.sent} status reads were answered")
    return (sum(map(processor_time, pids)) - before) / result.answered * 1e6


def _processor_time(work: str, peer: str, rounds: int, seconds: int, *, usual: Load, special: Load) -> list[Line]:
    """Measures the gateway's processor time for a request, for a load as usual and for a special one."""
    with _two_gateways() as gateways:
        def programs(seconds: int) -> dict[str, Callable[[], float]]:
            loads = {"special": ("gateway", special), "usual": ("gateway", usual),
                     "special again": ("gateway again", special)}
            return {name: lambda server=gateways[server], load=load: processor_time_per_read(
                        server[0], replace(load, seconds=seconds), server[1])
                    for name, (server, load) in loads.items()}

        interleaved(f"{work} (warming up)", 1, programs(WARM_UP_SECONDS))
        found = interleaved(work, rounds, programs(seconds))
    return [Line(work, "", "µs of processor time", found["special"], peer, found["usual"],
                 ratios(found["special again"], found["special"]))]


def two_writes(rounds: int, seconds: int) -> list[Line]:
    """Status reads whose head and body are written one after the other, as Python's http.client does."""
    return _processor_time("status reads in two writes, keep-alive", "in one write", rounds, seconds,
                           usual=Load(), special=Load(pieces=2))


def late_requests(rounds: int, seconds: int) -> list[Line]:
    """Status reads whose first byte comes 1 ms after the connection was made, as on a real network."""
    return _processor_time("status reads 1 ms after connecting, a new connection each", "at once", rounds, seconds,
                           usual=Load(close=True), special=Load(close=True, delay=DELAY))
