"""Network namespaces as hosts, connected by switches, in which processes and this process's own threads run.

Each host is a namespace with an interface for each network. The bridges of all networks are in a namespace of their
own, `SWITCH`, with an address in each network; packets are not forwarded between networks.
"""

import ctypes
import os
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

ROOT = str(Path(__file__).parents[2])
SWITCH = "switch"
_CLONE_NEWNET = 0x40000000  # sched.h
_libc = ctypes.CDLL(None, use_errno=True)


class Namespaces:
    """The hosts and their processes. `hosts` maps each host to its interfaces and their addresses in /24 networks.

    Interfaces with the same name are in one network, in which the switch has the address that ends with 1.
    """

    def __init__(self, folder, hosts):
        self.folder, self.hosts = Path(folder), hosts
        self._processes = []
        self._names = {place: f"wsdgateway-{place}-{os.getpid()}" for place in (SWITCH, *hosts)}

    def build(self):
        """Makes the namespaces, and connects them."""
        for place in self._names:
            _ip("netns", "add", self._names[place])
            self.run(place, "ip", "link", "set", "lo", "up")
        for number, (host, interfaces) in enumerate(self.hosts.items()):
            for link, address in interfaces.items():
                self._bridge(link, address)
                _ip("link", "add", link, "netns", self._names[host], "type", "veth", "peer", "name",
                    f"{number}-{link}", "netns", self._names[SWITCH])
                self.run(SWITCH, "ip", "link", "set", f"{number}-{link}", "master", link, "up")
                self.run(host, "ip", "address", "add", f"{address}/24", "dev", link)
                self.run(host, "ip", "link", "set", link, "up")

    def _bridge(self, link, address):
        if not self.run(SWITCH, "ip", "link", "show", link, check=False):
            self.run(SWITCH, "ip", "link", "add", link, "type", "bridge")
            self.run(SWITCH, "ip", "address", "add", f"{address.rpartition('.')[0]}.1/24", "dev", link)
            self.run(SWITCH, "ip", "link", "set", link, "up")

    def run(self, place, *command, check=True, **environment):
        """Runs a command in a namespace to its end. Returns its output."""
        done = subprocess.run(["ip", "netns", "exec", self._names[place], *command], check=False, capture_output=True,
                              text=True, timeout=60, cwd=self.folder, env={**os.environ, **environment})
        if check and done.returncode:
            raise AssertionError(f"{command} in {place}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self, place, name, *command):
        """Starts a process in a namespace; its output is appended to `NAME.log`, which is `process.log`."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            # `ip netns exec` becomes the command, so a signal to the process reaches it.
            process = subprocess.Popen(["ip", "netns", "exec", self._names[place], *command], cwd=self.folder,
                                       stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                       env={**os.environ, "PYTHONPATH": ROOT})
        process.log = log
        self._processes.append(process)
        return process

    def plug(self, host, *links, is_in):
        """Plugs the cables of a host into the switches, or pulls them out; all of them if none is named."""
        number = list(self.hosts).index(host)
        for link in links or self.hosts[host]:
            self.run(SWITCH, "ip", "link", "set", f"{number}-{link}", "up" if is_in else "down")

    def silence(self, host, *links, is_silent):
        """Has the switches pass on nothing to or from a host, whose cables stay in; on all links if none is named."""
        number = list(self.hosts).index(host)
        for link in links or self.hosts[host]:
            place = ["nomaster"] if is_silent else ["master", link]
            self.run(SWITCH, "ip", "link", "set", f"{number}-{link}", *place)

    def block(self, host, peer, *, is_blocked, port=None):
        """Drops what a host and the address of a peer send each other, all of it or to or from one TCP port."""
        what = ["--sport", "--dport"] if port else [None]
        for chain, end in (("INPUT", "-s"), ("OUTPUT", "-d")):
            for side in what:
                self.run(host, "iptables", "-w", "-A" if is_blocked else "-D", chain, end, peer, "-p",
                         "tcp" if port else "all", *([side, str(port)] if port else []), "-j", "DROP")

    def inside(self, place, function):
        """Calls a function in a thread that is in a namespace. Returns what it returns, or raises its exception."""
        found = []

        def call():
            try:
                self.enter(place)
                found.extend((function(), None))
            except Exception as error:  # raised below, in the caller's thread
                found.extend((None, error))

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        if found[1] is not None:
            raise found[1]
        return found[0]

    def enter(self, place):
        """Moves the calling thread into a namespace: sockets that it makes from then on are there."""
        handle = os.open(f"/run/netns/{self._names[place]}", os.O_RDONLY)
        try:
            if _libc.setns(handle, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(handle)

    def close(self):
        """Ends every process, the last one first, and removes the namespaces. Returns the logs, joined."""
        for process in reversed(self._processes):
            if process.poll() is None:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(30)
                process.kill()
                process.wait()
        for name in self._names.values():
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        logs = {process.log for process in self._processes}
        return "".join(log.read_text(errors="replace") for log in sorted(logs))


def _ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
