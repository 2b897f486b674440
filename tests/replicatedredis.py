"""A Redis server that survives the loss of its master: one master, two replicas and three Sentinels as processes."""

import redis

from tests.ports import free_port

NAME = "gateways"  # of the master
SETTINGS = {"min_replicas_to_write": "1", "min_replicas_max_lag": "10", "appendonly": "yes",
            "repl_diskless_sync_delay": "0"}


class Replicated:
    """The servers, which `start` makes and starts. `url` names the Sentinels."""

    def __init__(self, start, *, down_after=1000, **options):
        self.start, self._down_after = start, down_after
        self.master = start(port=free_port(), **SETTINGS, **options)
        login = {"masterauth": options["requirepass"]} if "requirepass" in options else {}
        self.replicas = [start(port=free_port(), replicaof=("127.0.0.1", str(self.master.port)), **SETTINGS,
                               **login, **options) for _ in range(2)]
        self.master.wait_until(lambda: self.master.command("INFO", "replication")["connected_slaves"] == 2)
        self.master.wait_until(self._takes_writes)
        self.sentinels = [self._sentinel(options.get("requirepass")) for _ in range(3)]
        for one in self.sentinels:
            one.wait_until(lambda one=one: self._knows_all(one))

    def _takes_writes(self):
        try:
            return self.master.command("SET", "ready", "1")
        except redis.ResponseError:
            return False

    def _sentinel(self, password):
        port = free_port()
        more = {"sentinel auth-pass": (NAME, password)} if password else {}
        return self.start(port=port, sentinel=True, **{
            "sentinel monitor": (NAME, "127.0.0.1", str(self.master.port), "2"), **more,
            "sentinel down-after-milliseconds": (NAME, str(self._down_after)),
            "sentinel failover-timeout": (NAME, "10000")})

    @staticmethod
    def _knows_all(sentinel):
        found = sentinel.command("SENTINEL MASTER", NAME)
        return found["num-other-sentinels"] == 2 and found["num-slaves"] == 2

    @property
    def url(self):
        return f"redis+sentinel://{','.join(f'127.0.0.1:{one.port}' for one in self.sentinels)}/{NAME}/0"

    @property
    def servers(self):
        """The master at the beginning, and the replicas."""
        return [self.master, *self.replicas]

    @property
    def current(self):
        """The server that the Sentinels name as the master now."""
        _, port = self.sentinels[0].command("SENTINEL GET-MASTER-ADDR-BY-NAME", NAME)
        return next(one for one in self.servers if one.port == int(port))
