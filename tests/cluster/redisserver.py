"""A redis-server as a process: it is killed, stopped, and started again with its data, without them, or loading them.
"""

import contextlib
import shutil
import signal
import subprocess
import time

import redis

from tests.ports import free_port

PROGRAM = "redis-server"
PATIENCE = 60.0  # seconds
LOADING_KEYS = 500  # keys that are added to the data so that they take long to load


class RedisServer:
    """The server, on a free port of loopback, with its data in `folder`. It writes nothing by itself."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process = None
        self._client = redis.Redis(port=self.port, socket_timeout=5.0)

    def start(self, *options):
        """Starts the server, and waits until it answers, if only that it is loading."""
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", "",
                 "--appendonly", "no", "--enable-debug-command", "yes", *options],
                stdout=log, stderr=subprocess.STDOUT)
        end = time.monotonic() + PATIENCE
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "redis.log").read_text()
            assert time.monotonic() < end, "redis-server does not answer"
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.02)

    def _answers(self):
        try:
            self._client.ping()
        except redis.BusyLoadingError:
            return True
        except (redis.ConnectionError, redis.TimeoutError):
            return False
        return True

    @property
    def is_loading(self):
        """True while the server answers that it is loading its data."""
        try:
            self._client.ping()
        except redis.BusyLoadingError:
            return True
        return False

    def commands(self):
        """Returns how often each command was called."""
        return {name.removeprefix("cmdstat_"): told["calls"]
                for name, told in self._client.info("commandstats").items()}

    def keys(self):
        """Returns the names of all keys."""
        return sorted(self._client.scan_iter(count=1000))

    def kill(self):
        """Kills the server. What it has not saved is lost."""
        self._send(signal.SIGKILL)
        self.process.wait(PATIENCE)
        self._client.connection_pool.disconnect()

    def stop(self):
        """Stops the server (SIGSTOP): its connections stay open, and it does not answer."""
        self._send(signal.SIGSTOP)

    def go_on(self):
        """Lets a stopped server go on."""
        self._send(signal.SIGCONT)

    def _send(self, how):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)

    def restart_kept(self):
        """Starts the server again with all of its data."""
        self._client.save()
        self.kill()
        self.start()

    def restart_empty(self):
        """Starts the server again without data."""
        self.kill()
        (self.folder / "dump.rdb").unlink(missing_ok=True)
        self.start()

    def restart_loading(self, seconds):
        """Starts the server again with all of its data, which take it so many seconds to load."""
        self._client.execute_command("DEBUG", "POPULATE", LOADING_KEYS, "filling", 100)
        self._client.save()
        self.kill()
        # The delay is in microseconds for each key. The server answers while it loads only after so many bytes.
        self.start("--key-load-delay", str(int(seconds * 1e6 / LOADING_KEYS)),
                   "--loading-process-events-interval-bytes", "1024")

    def save_copy(self):
        """Saves the data as they are now, for `restart_older`."""
        self._client.save()
        shutil.copy(self.folder / "dump.rdb", self.folder / "older.rdb")

    def restart_older(self):
        """Starts the server again with the data of `save_copy`."""
        self.kill()
        shutil.copy(self.folder / "older.rdb", self.folder / "dump.rdb")
        self.start()

    def end(self):
        """Ends the process."""
        self.go_on()
        self.kill()
        self._client.close()
