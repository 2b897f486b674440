"""The failures of two print servers that `failures.py` makes."""

import signal
import time

from tests.cluster.printservers import (
    CLIENTS_LINK,
    HOSTS,
    PEER,
    REDIS_HOSTS,
    SCANNERS_LINK,
    SERVERS_LINK,
    THIRD,
    PrintServers,
)

WATCHED_SECONDS = 12.0  # from the failure on, or from its end if it ends by itself
SWITCH_SECONDS, HEALED_SECONDS = 45.0, 20.0  # for which a switch fails, and is watched afterwards
UNREACHED_SECONDS = 90.0  # an owner gives a scanner up that it has not reached for 30 seconds, and asks it seldom

# Groups of failures, each in a laboratory of its own.
WITH_SENTINEL = ("killed", "terminated", "in_order", "stopped", "follower", "host", "sentinel", "clients_switch",
                 "scanners_switch", "servers_switch", "host_with_master")
WITH_ONE_SERVER = ("redis_2", "redis_30", "redis_empty", "no_redis", "servers_link", "only_scanner", "no_peer")
WITH_CLOCKS = ("clocks", "clocks_host")


class Failures:
    """The failures of one laboratory. Each makes the failure of A, waits, and repairs it."""

    def __init__(self, lab: PrintServers) -> None:
        self.lab = lab

    def killed(self, owner: str, other: str) -> None:
        """The owner's gateway is killed (SIGKILL)"""
        self.lab.signal(owner, "gateway", signal.SIGKILL)
        time.sleep(WATCHED_SECONDS)

    def terminated(self, owner: str, other: str) -> None:
        """The owner's gateway stops (SIGTERM)"""
        self.lab.signal(owner, "gateway", signal.SIGTERM)
        time.sleep(WATCHED_SECONDS)

    def in_order(self, owner: str, other: str) -> None:
        """The owner's keepalived stops, then its gateway (`systemctl stop` with the drop-in)"""
        for name in ("keepalived", "gateway"):
            self.lab.signal(owner, name, signal.SIGTERM)
            self.lab.wait_for_end(owner, name)
        time.sleep(WATCHED_SECONDS)

    def stopped(self, owner: str, other: str) -> None:
        """The owner's gateway stands still for 5 s (SIGSTOP)"""
        self.lab.signal(owner, "gateway", signal.SIGSTOP)
        time.sleep(5)
        self.lab.signal(owner, "gateway", signal.SIGCONT)
        time.sleep(WATCHED_SECONDS)

    def clocks(self, owner: str, other: str) -> None:
        """As the first, and the clocks of the hosts are 10 minutes ahead and 5 minutes behind"""
        self.killed(owner, other)

    def clocks_host(self, owner: str, other: str) -> None:
        """The owner's host dies, and the clocks of the hosts are 10 minutes ahead and 5 minutes behind"""
        self.host(owner, other)

    def follower(self, owner: str, other: str) -> None:
        """The follower's gateway is killed; here A is the owner"""
        self.lab.signal(other, "gateway", signal.SIGKILL)
        time.sleep(WATCHED_SECONDS)

    def host(self, owner: str, other: str) -> None:
        """The owner's host dies"""
        self.lab.power_off(owner)
        time.sleep(WATCHED_SECONDS)
        self.lab.power_on(owner)

    def host_with_master(self, owner: str, other: str) -> None:
        """The owner's host dies, and has the Redis master"""
        self.lab.power_off(owner)
        time.sleep(45)
        self.lab.power_on(owner)

    def sentinel(self, owner: str, other: str) -> None:
        """The host of the Redis master dies, which is not a print server (Sentinel failover)"""
        self.lab.power_off(THIRD)
        time.sleep(30)
        self.lab.power_on(THIRD)

    def redis_2(self, owner: str, other: str) -> None:
        """The single Redis server is away for 2 s"""
        self._redis_away(2)

    def redis_30(self, owner: str, other: str) -> None:
        """The single Redis server is away for 30 s"""
        self._redis_away(30)

    def _redis_away(self, seconds: float) -> None:
        self.lab.signal(THIRD, "redis", signal.SIGKILL)
        time.sleep(seconds)
        self.lab.launch(THIRD, "redis")
        time.sleep(WATCHED_SECONDS)

    def redis_empty(self, owner: str, other: str) -> None:
        """The single Redis server is restarted, and is empty"""
        self.lab.signal(THIRD, "redis", signal.SIGKILL)
        for file in sorted((self.lab.folder / THIRD / "redis").rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        self.lab.launch(THIRD, "redis")
        time.sleep(WATCHED_SECONDS)

    def no_redis(self, owner: str, other: str) -> None:
        """The owner is cut off from the single Redis server, and reaches the other gateway"""
        peer = HOSTS[THIRD][SERVERS_LINK]
        self.lab.block(owner, peer, is_blocked=True)
        time.sleep(WATCHED_SECONDS)
        self.lab.block(owner, peer, is_blocked=False)
        time.sleep(WATCHED_SECONDS)

    def servers_link(self, owner: str, other: str) -> None:
        """The owner is cut off from Redis and from the other gateway"""
        self.lab.plug(owner, SERVERS_LINK, is_in=False)
        time.sleep(WATCHED_SECONDS)
        self.lab.plug(owner, SERVERS_LINK, is_in=True)
        time.sleep(WATCHED_SECONDS)

    def only_scanner(self, owner: str, other: str) -> None:
        """The owner is cut off from all but the scanner"""
        self.lab.plug(owner, SERVERS_LINK, CLIENTS_LINK, is_in=False)
        time.sleep(WATCHED_SECONDS)
        self.lab.plug(owner, SERVERS_LINK, CLIENTS_LINK, is_in=True)
        time.sleep(WATCHED_SECONDS)

    def servers_switch(self, owner: str, other: str) -> None:
        """The switch of the servers' network fails, and its links stay up: no host reaches another one there"""
        self._switch_fails(SERVERS_LINK, SWITCH_SECONDS, *REDIS_HOSTS)

    def clients_switch(self, owner: str, other: str) -> None:
        """The switch of the clients' network cuts the owner's server off, and the link stays up"""
        self._switch_fails(CLIENTS_LINK, SWITCH_SECONDS, owner)

    def scanners_switch(self, owner: str, other: str) -> None:
        """The switch of the scanners' network cuts the owner's server off, and the link stays up"""
        self._switch_fails(SCANNERS_LINK, UNREACHED_SECONDS, owner)

    def _switch_fails(self, link: str, seconds: float, *hosts: str) -> None:
        for host in hosts:
            self.lab.silence(host, link, is_silent=True)
        time.sleep(seconds)
        for host in hosts:
            self.lab.silence(host, link, is_silent=False)
        time.sleep(HEALED_SECONDS)

    def no_peer(self, owner: str, other: str) -> None:
        """The gateways reach Redis, but not each other"""
        peer = HOSTS[other][SERVERS_LINK]
        self.lab.block(owner, peer, is_blocked=True, port=PEER)
        time.sleep(WATCHED_SECONDS)
        self.lab.block(owner, peer, is_blocked=False, port=PEER)
        time.sleep(WATCHED_SECONDS)
