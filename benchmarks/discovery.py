"""(f) Measures WS-Discovery on the clients' side: load in one network namespace, the gateway in another. Needs root.

First 500 Probes a second are sent from 50 sources for 10 seconds; the number of answers, their delay and the processor
time are printed, also for Debian's `wsdd`, which answers for the host itself. Then 300 bridged scanners are announced
at the start, and the number of datagrams in the fullest second is printed.
"""

import os
import random
import select
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

from peers import LOAD_CORE, SERVER_CORE

SOURCES, RATE, SECONDS, SCANNERS = 50, 500, 10, 300
GROUP, PORT = "239.255.255.250", 3702
CLIENTS, SERVER = f"bench-clients-{os.getpid()}", f"bench-server-{os.getpid()}"
TWISTD = str(Path(sys.executable).with_name("twistd"))
PROBE = ('<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope" '
         'xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
         'xmlns:wsd="http://schemas.xmlsoap.org/ws/2005/04/discovery" '
         'xmlns:wsdp="http://schemas.xmlsoap.org/ws/2006/02/devprof"><soap:Header>'
         "<wsa:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</wsa:To>"
         "<wsa:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</wsa:Action>"
         "<wsa:MessageID>urn:uuid:{message_id}</wsa:MessageID></soap:Header>"
         "<soap:Body><wsd:Probe><wsd:Types>wsdp:Device</wsd:Types></wsd:Probe></soap:Body></soap:Envelope>")


def ip(*arguments: str) -> None:
    """Runs the command `ip` with these arguments."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def network() -> None:
    """Sets up the two network namespaces on one link."""
    for name in (CLIENTS, SERVER):
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")
    ip("link", "add", "lan", "netns", CLIENTS, "type", "veth", "peer", "name", "lan", "netns", SERVER)
    for source in range(SOURCES):
        ip("-n", CLIENTS, "address", "add", f"10.9.0.{source + 1}/16", "dev", "lan")
    ip("-n", SERVER, "address", "add", "10.9.1.1/16", "dev", "lan")
    for name in (CLIENTS, SERVER):
        ip("-n", name, "link", "set", "lan", "up")


def start(namespace: str, core: str, *command: str, folder: str) -> subprocess.Popen[bytes]:
    """Starts a process in a namespace, pinned to a core."""
    return subprocess.Popen(["ip", "netns", "exec", namespace, "taskset", "-c", core, *command], cwd=folder,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def processor_seconds(process: subprocess.Popen[bytes]) -> float:
    """Returns the processor time that a process has used so far, in seconds."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(seconds: float) -> None:
    """Sends Probes; prints how many were sent and answered, and the seconds until the first answer to each."""
    sockets = []
    for source in range(SOURCES):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((f"10.9.0.{source + 1}", 0))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(f"10.9.0.{source + 1}"))
        made.setblocking(False)
        sockets.append(made)
    poll = select.epoll()
    by_file = {made.fileno(): made for made in sockets}
    for file in by_file:
        poll.register(file, select.EPOLLIN)
    sent: dict[str, float] = {}
    answered: dict[str, float] = {}
    begin = time.monotonic()
    total = round(RATE * seconds)
    while (now := time.monotonic()) < begin + seconds + 2:
        while len(sent) < total and begin + len(sent) / RATE <= now:
            message_id = f"{random.getrandbits(128):032x}"
            sockets[len(sent) % SOURCES].sendto(PROBE.format(message_id=message_id).encode(), (GROUP, PORT))
            sent[message_id] = time.monotonic()
        for file, _ in poll.poll(0.001):
            data = by_file[file].recv(65536)
            message_id = data.partition(b"RelatesTo>urn:uuid:")[2][:32].decode()
            if message_id in sent:
                answered.setdefault(message_id, time.monotonic() - sent[message_id])
    print(len(sent), len(answered), *sorted(answered.values()))


def listen(seconds: float) -> None:
    """Listens for announcements; prints the time of each, in seconds."""
    ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    ear.bind((GROUP, PORT))
    ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack(
        "=4s4s", socket.inet_aton(GROUP), socket.inet_aton("10.9.0.1")))
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        ear.settimeout(left)
        try:
            if b"/Hello<" in ear.recv(65536):
                print(time.monotonic())
        except TimeoutError:
            break


def ask(mode: str, seconds: float, folder: str) -> list[float]:
    """Runs this file in the mode `load` or `listen` in the clients' namespace; returns the printed numbers."""
    done = subprocess.run(
        ["ip", "netns", "exec", CLIENTS, "taskset", "-c", LOAD_CORE, sys.executable, __file__, mode, str(seconds)],
        cwd=folder, check=True, capture_output=True, text=True)
    return [float(word) for word in done.stdout.split()]


def gateway(folder: str, scanners: int) -> subprocess.Popen[bytes]:
    """Starts a gateway with this number of scanners, all of them the same virtual one under different names."""
    sections = "".join(f'[[scanner]]\nname = "s{number}"\nscan = "http://127.0.0.1:8018/WDP/SCAN"\nevents = "off"\n'
                       for number in range(scanners))
    Path(folder, "gateway.toml").write_text(
        f'[gateway]\nstate = "memory:"\n[[listen]]\nendpoint = "tcp:5357"\n'
        f'[discovery]\nclient_interfaces = ["lan"]\n{sections}')
    return start(SERVER, SERVER_CORE, TWISTD, "-n", "--pidfile=", "wsdgateway", "--config", "gateway.toml",
                 folder=folder)


def measure(name: str, process: subprocess.Popen[bytes], folder: str) -> float:
    """Sends Probes to the process and prints the results. Returns its share of a core."""
    time.sleep(8)
    before = processor_seconds(process)
    sent, answered, *delays = ask("load", SECONDS, folder)
    used = (processor_seconds(process) - before) / SECONDS
    print(f"{name}: {answered:.0f} of {sent:.0f} Probes answered, median {1000 * statistics.median(delays):.0f} ms, "
          f"slowest {1000 * delays[-1]:.0f} ms; {100 * used:.0f} % of a core")
    return used


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process."""
    process.terminate()
    process.wait(30)


def announce(folder: str) -> None:
    """Starts a gateway with many scanners, and counts its announcements."""
    listener = subprocess.Popen(
        ["ip", "netns", "exec", CLIENTS, sys.executable, __file__, "listen", "45"], stdout=subprocess.PIPE, text=True)
    process = gateway(folder, SCANNERS)
    times = [float(line) for line in listener.communicate()[0].split()]
    end(process)
    window: deque[float] = deque()
    fullest = 0
    for moment in times:
        window.append(moment)
        while window[0] <= moment - 1:
            window.popleft()
        fullest = max(fullest, len(window))
    print(f"{SCANNERS} scanners announced: {len(times)} Hellos within {times[-1] - times[0]:.0f} s, "
          f"{fullest} in the fullest second (announce_rate 20)")


def main() -> None:
    """Runs the benchmark."""
    if os.geteuid() != 0:
        sys.exit("needs root, to make network namespaces")
    folder = tempfile.mkdtemp()
    running = []
    try:
        network()
        running.append(start(SERVER, LOAD_CORE, TWISTD, "-n", "--pidfile=s.pid", "wsdscanner", folder=folder))
        ours = gateway(folder, 1)
        used = measure("wsdgateway", ours, folder)
        end(ours)
        if shutil.which("wsdd"):
            peer = start(SERVER, SERVER_CORE, "wsdd", "-i", "lan", "-4", folder=folder)
            theirs = measure("wsdd", peer, folder)
            end(peer)
            print(f"wsdgateway / wsdd: {used / theirs:.2f} x of the processor's time")
        announce(folder)
    finally:
        for process in running:
            end(process)
        for name in (CLIENTS, SERVER):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        shutil.rmtree(folder)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        {"load": load, "listen": listen}[sys.argv[1]](float(sys.argv[2]))
    else:
        main()
