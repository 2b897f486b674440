"""Measures the cost of the exchange log: local status reads with and without it, at full speed and at 2,000 a second.

The same gateway runs three times on one core: without a log, with a log file, and with a log file and captures.
"""

import http.client
import os
import tempfile
import threading
import time
from pathlib import Path

from peers import GET_JOB_ELEMENTS, JOB_STATUS, LOAD_CORE, answering, free_port, gateway, nginx, wrk

RATE, CONNECTIONS = 2000, 20
KINDS = {"without": "", "log": '[exchange_log]\npath = "x.jsonl"\n',
         "log and captures": '[exchange_log]\npath = "x.jsonl"\ncapture = "captures"\ncapture_size = 100000000\n'}


def processor(pid: int) -> float:
    """Returns the processor time that all threads of a process have used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def paced(port: int, seconds: float) -> int:
    """Sends `RATE` requests a second. Returns the number of answers."""
    answered = [0] * CONNECTIONS

    def ask(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        begin = time.monotonic() + number / RATE
        for turn in range(int(seconds * RATE / CONNECTIONS)):
            wait = begin + turn * CONNECTIONS / RATE - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            connection.request("POST", "/front-desk/scan", GET_JOB_ELEMENTS, {"Content-Type": "application/soap+xml"})
            response = connection.getresponse()
            response.read()
            answered[number] += response.status == 200
        connection.close()

    asking = [threading.Thread(target=ask, args=(number,)) for number in range(CONNECTIONS)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    return sum(answered)


def measure(seconds: int, rounds: int) -> None:
    """Prints the results; at full speed the best round of each kind, with rounds interleaved."""
    device = free_port()
    ports = {kind: free_port() for kind in KINDS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with nginx(folder / "device", answering(device, JOB_STATUS), device, LOAD_CORE):
            best: dict[str, float] = {}
            for _ in range(rounds):
                for kind, more in KINDS.items():
                    with gateway(folder / kind.replace(" ", "-"), ports[kind], f"http://127.0.0.1:{device}/scan", more,
                                 'events = "off"') as server:
                        rate = wrk(f"http://127.0.0.1:{ports[kind]}/front-desk/scan", GET_JOB_ELEMENTS, seconds=seconds)
                        best[kind] = max(best.get(kind, 0.0), rate)
            print("at full speed:")
            for kind, rate in best.items():
                print(f"  {kind:18} {rate:10,.0f} answers/s  {rate / best['without']:.2f} x without")
            print(f"at {RATE:,} a second:")
            base = 0.0
            for kind, more in KINDS.items():
                with gateway(folder / f"paced-{kind}".replace(" ", "-"), ports[kind], f"http://127.0.0.1:{device}/scan",
                             more, 'events = "off"') as server:
                    before, begun = processor(server.pid), time.monotonic()
                    answered = paced(ports[kind], seconds * 2)
                    took, used = time.monotonic() - begun, processor(server.pid) - before
                    base = base or used
                    print(f"  {kind:18} {answered:,} of {seconds * 2 * RATE:,} answered in {took:.1f} s, "
                          f"{100 * used / took:.0f} % of a core, {used / base:.2f} x without")


if __name__ == "__main__":
    measure(4, 3)
