"""Runs the gateway and its scanners as processes, on a small disk and with a name server that never answers.

It also measures them from outside: memory, descriptors, log, metrics.
"""

import asyncio
import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from http_client import Broken, Client
from proxy import FaultProxy

from tests.ports import free_port

FAULTY = {"desk": "all", "hall": "jobs", "cellar": "none"}  # the events that each of them supports
POLL_INTERVAL = 1.0
DISK = 24 << 20
RESOLVER = f"127.66.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"  # an address of this process only
LOST = "scanner.lost.example"
FAKETIME = "/usr/lib/*/faketime/libfaketimeMT.so.1"
ROOT = str(Path(__file__).parents[2])
PROGRAM = str(Path(sys.executable).with_name("twistd"))


class Scanner:
    """Virtual scanner behind a fault proxy; its control interface is reached directly."""

    def __init__(self, testbed, name, events):
        self.name, self.events, self._testbed = name, events, testbed
        self.port = free_port()
        self.proxy = FaultProxy(self.port)

    async def start(self):
        (self._testbed.folder / f"{self.name}.toml").write_text(
            f'[scanner]\nendpoint = "tcp:{self.port}:interface=127.0.0.1"\nname = "{self.name}"\nuuid = '
            f'"4509a320-00a0-008f-00b6-{sum(map(ord, self.name)):012x}"\npage_seconds = 0.2\nevents = "{self.events}"\n'
            f'subscription_expires = 120.0\njob_timeout = 10.0\nstamp = "soak"\n')
        self._testbed.run(self.name, self.port, [
            PROGRAM, "-n", "--pidfile=", "wsdscanner", "--config", f"{self.name}.toml"])
        await self.proxy.start()

    async def control(self, command="", method="POST"):
        """Sends a command to the control interface. Returns None if that fails."""
        control = Client(self.port)
        try:
            return json.loads((await control.ask(f"/control/{command}", b"", 10.0, method))[1])
        except (Broken, ValueError):
            return None
        finally:
            control.close()


class Testbed:
    """The gateway and the scanners. `remarks` names the faults that are not possible on this machine."""

    def __init__(self, folder, *, sets_clock=True):
        self.folder = folder
        self.disk = folder / "disk"
        self.remarks, self._processes = [], {}
        self.port, self.admin = free_port(), free_port()
        self.healthy = Scanner(self, "steady", "all")
        self.faulty = [Scanner(self, name, events) for name, events in FAULTY.items()]
        self.scanners = {one.name: one for one in (self.healthy, *self.faulty)}
        self._dns, self.has_disk, self.clock, self._sets_clock = None, False, None, sets_clock
        self.settings, self.has_extra = 30.0, False

    async def start(self):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self._mount()
        for scanner in self.scanners.values():
            await scanner.start()
        self.write()
        self.gateway = self.run("gateway", self.port, [
            *self._hanging_names(), PROGRAM, "-n", "--pidfile=", "wsdgateway", "--config", "gateway.toml"],
            self._fake_clock())

    def run(self, name, port, command, environment=None):
        """Starts a process, and waits until it listens."""
        log = (self.folder / f"{name}.log").open("wb")
        process = self._processes[name] = subprocess.Popen(
            command, cwd=self.folder, stdout=log, stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": ROOT, **(environment or {})})
        for _ in range(600):
            if process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return process
            except OSError:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
        raise SystemExit(f"{name} does not listen: {(self.folder / f'{name}.log').read_text()[-2000:]}")

    def write(self):
        """Writes the gateway's configuration."""
        sections = "".join(
            f'[[scanner]]\nname = "{one.name}"\nscan = "http://127.0.0.1:{one.proxy.port}/WDP/SCAN"\ntimeout = 10.0\n'
            f"idle_timeout = {self.settings}\n" for one in self.scanners.values())
        if self.has_extra:
            sections += f'[[scanner]]\nname = "extra"\nscan = "http://127.0.0.1:{self.healthy.port}/WDP/SCAN"\n'
        (self.folder / "gateway.toml").write_text(
            f'[gateway]\nname = "soak"\nstate = "sqlite:disk/gateway.sqlite"\n'
            f'[[listen]]\nendpoint = "tcp:{self.port}:backlog=1024:interface=127.0.0.1"\n{sections}'
            f'[[scanner]]\nname = "lost"\nscan = "http://{LOST}:8018/WDP/SCAN"\ntimeout = 10.0\n'
            f"[cache]\nmax_age = 10.0\npoll_interval = {POLL_INTERVAL}\nhistory = 50\n"
            "[events]\ncheck = 5.0\nexpires = 60.0\nclient_expires = 3600.0\n"
            '[exchange_log]\npath = "disk/exchanges.jsonl"\nsize = 2097152\nkeep = 2\n'
            f'[admin]\nendpoint = "tcp:{self.admin}:interface=127.0.0.1"\n')

    def reload(self):
        """Writes the configuration and sends SIGHUP."""
        self.write()
        self.gateway.send_signal(signal.SIGHUP)

    # Facilities of the machine for some faults.

    def _mount(self):
        self.disk.mkdir()
        self.has_disk = os.geteuid() == 0 and shutil.which("mount") is not None and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(self.disk)], capture_output=True).returncode
        if not self.has_disk:
            self.remarks.append("no full disk: that needs root, to mount a small one")

    def _hanging_names(self):
        """Returns the command prefix that starts the gateway with a name server that never answers."""
        self._dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        (self.folder / "resolv.conf").write_text(f"nameserver {RESOLVER}\n")
        command = ["unshare", "--mount", "sh", "-c", f"mount --bind '{self.folder}/resolv.conf' /etc/resolv.conf "
                   "&& exec \"$@\"", "sh"]
        try:
            self._dns.bind((RESOLVER, 53))
            if subprocess.run([*command, "true"], capture_output=True).returncode == 0:
                return command
        except OSError:
            pass
        self.remarks.append("no name server that hangs: that needs root, and a mount namespace")
        return []

    def _fake_clock(self):
        found = sorted(Path("/").glob(FAKETIME.lstrip("/")))
        if not self._sets_clock:
            return {}
        if not found:
            self.remarks.append("the clock is not set: that needs libfaketime (apt install faketime)")
            return {}
        self.clock = self.folder / "clock"
        self.set_clock(0)
        return {"LD_PRELOAD": str(found[0]), "FAKETIME_TIMESTAMP_FILE": str(self.clock), "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1"}

    def set_clock(self, seconds):
        """Sets the gateway's system time so many seconds ahead of this process's."""
        self.clock.write_text(f"{seconds:+d}\n")

    # Measurements of the gateway.

    @property
    def _proc(self):
        return Path(f"/proc/{self.gateway.pid}")

    def memory(self):
        """Returns the resident memory in bytes."""
        return int((self._proc / "statm").read_text().split()[1]) * resource.getpagesize()

    def descriptors(self):
        """Returns the number of open descriptors."""
        return len(os.listdir(self._proc / "fd"))

    def said(self):
        """Returns the text of the gateway's log."""
        return (self.folder / "gateway.log").read_text(errors="replace")

    async def metrics(self):
        """Returns the metrics in the Prometheus format; empty while they cannot be read."""
        admin = Client(self.admin)
        try:
            return (await admin.ask("/metrics", b"", 10.0, "GET"))[1].decode()
        except Broken:
            return ""
        finally:
            admin.close()

    async def stop(self):
        """Stops everything, and returns the seconds that the gateway took."""
        began = time.monotonic()
        self.gateway.terminate()
        try:
            await asyncio.to_thread(self.gateway.wait, 60)
        except subprocess.TimeoutExpired:
            self.remarks.append("the gateway did not stop within 60 s")
        took = time.monotonic() - began
        self.end()
        return took

    def end(self):
        """Kills every process that still runs, and unmounts the disk."""
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()
        for scanner in self.scanners.values():
            scanner.proxy.stop()
        if self.has_disk:
            subprocess.run(["umount", str(self.disk)], capture_output=True)
            self.has_disk = False
        if self._dns is not None:
            self._dns.close()


def level(samples):
    """Returns the median of some measurements."""
    return median(samples) if samples else 0
