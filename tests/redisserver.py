"""Redis servers for tests: processes with an empty folder each, reached by a Unix socket or a port of loopback."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

PATIENCE = 60.0  # seconds for a server on a loaded machine
PROGRAM = os.environ.get("WSDGATEWAY_REDIS_SERVER", "redis-server")  # such as that of Redis 8, or valkey-server
QUIET = {"save": "", "appendonly": "no", "daemonize": "no", "rdbcompression": "no"}


def skip_without_redis():
    """Skips the test if there is no redis-server, or fails it if WSDGATEWAY_E2E is `required`."""
    if shutil.which(PROGRAM) is None:
        why = f"{PROGRAM} is not installed (package redis-server)"
        if os.environ.get("WSDGATEWAY_E2E") == "required":
            pytest.fail(why)
        pytest.skip(why)


class RedisServer:
    """A server process. `url` is what `[gateway] state` would say; `options` are lines of its configuration.

    With `port` it listens on that port of loopback, else on a Unix socket. `tls` is a pair of certificate and key.
    """

    def __init__(self, folder, *, port=None, tls=None, sentinel=False, **options):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = port
        # The path of a socket has at most 107 characters, and pytest's folders are longer.
        self._socket_folder = None if port else tempfile.mkdtemp(prefix="redis-")
        self.socket = None if port else f"{self._socket_folder}/s"
        where = {"unixsocket": self.socket, "port": "0"} if not port else {
            "bind": "127.0.0.1", **({"port": "0", "tls-port": str(port), "tls-cert-file": str(tls[0]),
                                     "tls-key-file": str(tls[1]), "tls-auth-clients": "no"} if tls
                                    else {"port": str(port)})}
        self._tls = tls
        self._sentinel = sentinel
        self._options = {**({} if sentinel else QUIET), "dir": str(self.folder), **where,
                         **{name.replace("_", "-"): value for name, value in options.items()}}
        self.process = None

    @property
    def url(self):
        if self.socket:
            return f"redis+unix://{self.socket}"
        return f"{'rediss' if self._tls else 'redis'}://127.0.0.1:{self.port}/0"

    def start(self, wait=True):
        """Starts the process; with `wait` returns when it answers."""
        file = self.folder / "redis.conf"
        if not (self._sentinel and file.exists()):  # a Sentinel writes its state there
            lines = [f'{name} "{value}"' if isinstance(value, str) else f"{name} {' '.join(value)}"
                     for name, value in self._options.items()]
            file.write_text("\n".join(lines) + "\n")
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen([PROGRAM, str(file), *(["--sentinel"] if self._sentinel else [])],
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        if wait:
            self.wait_until(lambda: self.answers())
        return self

    def wait_until(self, condition):
        """Waits for an effect in this or another server, with time for a loaded machine."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < end, (self.folder / "log").read_text()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.02)

    def answers(self):
        """Whether the server answers, if only with an error."""
        try:
            with self.connect() as one:
                one.ping()
        except (redis.ConnectionError, redis.TimeoutError) as error:
            return isinstance(error, redis.AuthenticationError)
        return True

    def connect(self, **options):
        """A client of the tests' own."""
        if self.socket:
            options["unix_socket_path"] = self.socket
        elif self._tls:
            options.update(ssl=True, ssl_cert_reqs="none", ssl_check_hostname=False,
                           ssl_certfile=self._tls[0], ssl_keyfile=self._tls[1])
        return redis.Redis(**{"host": "127.0.0.1", "port": self.port or 0, "protocol": 2, "socket_timeout": PATIENCE,
                              "password": self._options.get("requirepass"), **options})

    def command(self, *words):
        """Sends one command, and returns the answer."""
        with self.connect() as one:
            return one.execute_command(*words)

    def stop(self):
        """Stops the process (SIGSTOP): connections stay open, and nothing answers."""
        self.process.send_signal(signal.SIGSTOP)

    def cont(self):
        """Lets a stopped process go on."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        """Ends the process at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def restart(self, *, keep):
        """Ends the process and starts it again, with its data (`keep`) or empty; the run_id is a new one."""
        if keep:
            self.command("SAVE")
        self.kill()
        if not keep:
            for file in self.folder.glob("*.rdb"):
                file.unlink()
        self.start()

    def restart_loading(self, keys=2000, key_seconds=0.02):
        """Starts it again with so much to load, so slowly, that it answers LOADING for 40 s, or until it is killed."""
        with self.connect() as one:
            one.mset({f"filler:{number}": "x" * 1000 for number in range(keys)})
            one.save()
        self.kill()
        slowly = {"key-load-delay": str(int(key_seconds * 1e6)),  # microseconds
                  "loading-process-events-interval-bytes": "1024"}  # clients get answers each time these are read
        self._options.update(slowly)
        self.start(wait=False)
        for name in slowly:
            del self._options[name]
        self.wait_until(self.is_loading)

    def is_loading(self):
        """Whether the server answers LOADING."""
        try:
            with self.connect(retry=Retry(NoBackoff(), 0)) as one:  # by default redis-py waits and asks again
                one.get("x")
        except redis.BusyLoadingError:
            return True
        except redis.RedisError:
            return False
        return False

    def close(self):
        """Ends the process and deletes its socket."""
        self.kill()
        if self._socket_folder:
            shutil.rmtree(self._socket_folder, ignore_errors=True)


@pytest.fixture
def redis_servers(tmp_path):
    """Starts servers until the test ends: `redis_servers(**options)`."""
    skip_without_redis()
    made = []

    def start(**options):
        made.append(RedisServer(tmp_path / f"redis-{len(made)}", **options))
        return made[-1].start()

    yield start
    for one in made:
        one.close()


@pytest.fixture
def redis_server(redis_servers):
    """An empty server."""
    return redis_servers()
