"""A Redis server in memory for whole gateways: the commands and scripts that the store and the events send.

The coordination is `tests.clusterserver`. The stores and events are the real ones; their connections call commands on
`MemoryRedis` instead of a client of redis-py.
"""

from hashlib import sha1

import attrs
from redis.exceptions import NoScriptError
from twisted.internet.defer import Deferred, succeed

from tests.clusterserver import ClusterConnection, ClusterServer
from wsdgateway.app.sharedserver import SharedServer
from wsdgateway.bridge.cluster.lease import Leases
from wsdgateway.storage.coordination import DEADLINE, NotNow
from wsdgateway.storage.redis import values
from wsdgateway.storage.redis.address import parse
from wsdgateway.storage.redis.events import RedisEvents
from wsdgateway.storage.redis.keys import ERA, PEER_SECRET, PREFIX, of_scanner
from wsdgateway.storage.redis.luascript import LuaScript
from wsdgateway.storage.redis.store import RedisStore
from wsdgateway.storage.store import StoreError

URL = "redis://192.0.2.9:6379/0"
HISTORY = 100
_SCRIPTS = {sha1(LuaScript(name).text.encode()).hexdigest(): name for name in (
    "count", "events", "fenced", "instance", "intend", "jobs", "restore", "version")}


def _bytes(value):
    return value if isinstance(value, bytes) else str(value).encode()


@attrs.frozen
class _Facts:
    version: str = "7.0.15"
    warnings: tuple = ()


class MemoryServer(ClusterServer):
    """The server: coordination, and the data in `data`, a dict from key to value."""

    def __init__(self, clock):
        super().__init__(clock)
        self.data = {}

    def acquire(self, scanner, identifier, lease, mine, still_valid):
        outcome = super().acquire(scanner, identifier, lease, mine, still_valid)
        token = getattr(outcome, "token", None)
        if token is not None:
            stream = self.data.setdefault(of_scanner(scanner, "events"), [])
            stream.append((f"{token}-0".encode(), {b"took": identifier.encode()}))
        return outcome

    def keep_secret(self, proposed):
        """Returns the secret of the gateways; a server without one keeps the proposed one."""
        return self.data.setdefault(PEER_SECRET, proposed)

    def restart(self, data="kept", age=5.0):
        super().restart(data, age)
        if data == "empty":
            self.data.clear()


class MemoryRedis:
    """A client of redis-py, as far as the store and the events use it."""

    def __init__(self, server):
        self._server, self._data = server, server.data

    # Scripts.

    def evalsha(self, digest, count, *arguments):
        if digest not in _SCRIPTS:
            raise NoScriptError
        return getattr(self, f"_{_SCRIPTS[digest]}")(arguments[:count], arguments[count:])

    def _refusal(self, owner_key, token, identifier):
        scanner = owner_key[len(PREFIX) + 1:].partition("}")[0]
        refusal = self._server.refusal(scanner, identifier, int(token))
        return None if refusal is None else refusal.encode()

    def _fenced(self, names, arguments):
        token, identifier, *words = arguments
        refusal = self._refusal(names[1], token, identifier)
        if refusal is not None:
            return [refusal]
        answers = [b"done"]
        while words:
            count = words[0]
            answers.append(self.execute_command(*words[1:count + 1]))
            del words[:count + 1]
        return answers

    def _events(self, names, arguments):
        token, identifier, most, count, *rest = arguments
        refusal = self._refusal(names[1], token, identifier)
        if refusal is not None:
            return refusal
        stream = self._data.setdefault(names[2], [])
        for place in range(count):
            entry, data, content_type, receiver, made = rest[5 * place:5 * place + 5]
            if not stream or _order(entry.encode()) > _order(stream[-1][0]):
                stream.append((entry.encode(), {
                    b"data": data, b"type": _bytes(content_type), b"to": _bytes(receiver), b"made": _bytes(made),
                    b"at": _bytes(int(self._server.clock() * 1000))}))
        del stream[:-most]
        cursors = rest[5 * count:]
        for subscription, value in zip(cursors[::2], cursors[1::2], strict=True):
            if value == "":
                self.hdel(names[3], subscription)
            else:
                self.hset(names[3], subscription, value)
        return b"done"

    def _intend(self, names, arguments):
        token, identifier, record, kept, *claim = arguments
        refusal = self._refusal(names[1], token, identifier)
        if refusal == b"fenced":
            return [refusal]
        known = self.get(names[2])
        if known is not None and known != _bytes(record):
            return [refusal or b"done", known]
        if refusal is not None:
            return [refusal]
        if claim and self._count([*names[:2], names[3]], [token, identifier, *claim]) == b"many":
            return [b"many"]
        self.execute_command("SET", names[2], record, "PX", kept)
        return [b"done"]

    def _count(self, names, arguments):
        token, identifier, job, milliseconds, most = arguments
        scanner = names[1][len(PREFIX) + 1:].partition("}")[0]
        return self._server.count(
            scanner, identifier, int(token), names[2], job, milliseconds / 1000, most).encode()

    def _jobs(self, names, arguments):
        for name, job, milliseconds in zip(names, arguments[::2], arguments[1::2], strict=True):
            self._server.change_job(name, job, milliseconds / 1000)

    def _instance(self, names, arguments):
        following = max(int(self.get(names[0]) or 0) + 1, int(arguments[0]))
        self.execute_command("SET", names[0], following)
        return following

    def _version(self, names, arguments):
        endpoint, digest, first = arguments
        value = self._data.get(names[0], {}).get(_bytes(endpoint))
        known = {"digest": "", "version": int(first) - 1} if value is None else values.read(value)
        if known["digest"] != digest:
            known = {"digest": digest, "version": known["version"] + 1}
            self.hset(names[0], endpoint, values.write(known))
        return known["version"]

    def _restore(self, names, arguments):
        schema, text = arguments
        known = values.read(text)
        self._data.setdefault(names[0], _bytes(schema))
        self.execute_command("SET", names[3], max(int(self.get(names[3]) or 0), int(known["instance"])))
        versions = self._data.setdefault(names[2], {})
        for endpoint, one in known["versions"].items():
            versions.setdefault(_bytes(endpoint), values.write(one))

    # Commands.

    def pipeline(self, transaction=True):
        return _Pipeline(self)

    def get(self, name):
        value = self._data.get(name)
        if isinstance(value, tuple):  # with its end
            value, end = value
            if end <= self._server.clock():
                del self._data[name]
                return None
        return value

    def smembers(self, name):
        return set(self._data.get(name, ()))

    def hgetall(self, name):
        return dict(self._data.get(name, {}))

    def hget(self, name, field):
        if name == ERA:
            return None if self._server.era_number is None else _bytes(self._server.era_number)
        return self._data.get(name, {}).get(_bytes(field))

    def hvals(self, name):
        return list(self._data.get(name, {}).values())

    def hset(self, name, field, value):
        self._data.setdefault(name, {})[_bytes(field)] = _bytes(value)

    def hdel(self, name, *fields):
        for field in fields:
            self._data.get(name, {}).pop(_bytes(field), None)

    def exists(self, *names):
        return sum(bool(self._data.get(name)) for name in names)

    def time(self):
        now = self._server.clock()
        return int(now), int(now % 1 * 1e6)

    def execute_command(self, command, *arguments):
        name, rest = (arguments[0], arguments[1:]) if arguments else ("", ())
        if command == "SET":
            value = _bytes(rest[0])
            self._data[name] = value if len(rest) == 1 else (value, self._server.clock() + int(rest[2]) / 1000)
        elif command == "DEL":
            for one in arguments:
                self._data.pop(one, None)
        elif command in ("SADD", "SREM"):
            members = self._data.setdefault(name, set())
            (members.add if command == "SADD" else members.discard)(_bytes(rest[0]))
        elif command == "RPUSH":
            self._data.setdefault(name, []).extend(map(_bytes, rest))
        elif command == "LTRIM":
            self._data[name] = self._data.get(name, [])[int(rest[0]):]
        elif command == "LRANGE":
            return list(self._data.get(name, [])[int(rest[0]):])
        elif command == "LSET":
            self._data[name][int(rest[0])] = _bytes(rest[1])
        elif command == "XRANGE":
            return list(self._data.get(name, []))
        elif command != "PING":
            return getattr(self, command.lower())(*arguments)
        return None


def _order(entry):
    return tuple(map(int, entry.split(b"-")))


class _Pipeline:
    """Commands that are run together."""

    def __init__(self, redis):
        self._redis, self._commands = redis, []

    def execute_command(self, *command):
        self._commands.append(lambda: self._redis.execute_command(*command))

    def hgetall(self, name):
        self._commands.append(lambda: self._redis.hgetall(name))

    def exists(self, *names):
        self._commands.append(lambda: self._redis.exists(*names))

    def time(self):
        self._commands.append(self._redis.time)

    def execute(self, raise_on_error=True):
        return [command() for command in self._commands]


class _Wire:
    """The way from a host to the server: what takes place there, and its answer, or `NotNow` after the deadline.

    `reach` returns whether a message arrives now, `latency` the seconds that it takes. Commands are carried out in
    order.
    """

    def __init__(self, host, reach, latency):
        self._host, self._reach, self._latency, self._free_at = host, reach, latency, 0.0

    def run(self, command):
        host, network, answer = self._host, self._host.network, Deferred()

        def fire(act, outcome):
            if not answer.called:
                timer.cancel()
                act(outcome)

        def arrive():
            if not self._reach():
                return
            try:
                act, outcome = answer.callback, command()
            except StoreError as error:
                act, outcome = answer.errback, error
            network.at(network.now + self._latency(), lambda: return_(act, outcome))

        def return_(act, outcome):
            if self._reach():
                host.callLater(0, fire, act, outcome)

        timer = host.callLater(DEADLINE, lambda: answer.errback(NotNow("no answer")))
        self._free_at = max(self._free_at, network.now + self._latency())
        network.at(self._free_at, arrive)
        return answer


class MemoryClient:
    """The `RedisClient` of one gateway."""

    def __init__(self, host, server, reach, latency):
        self.address = parse(URL, None)
        self._redis, self._new_wire = MemoryRedis(server), lambda: _Wire(host, reach, latency)
        self._connections = {}

    def connection(self, name):
        return self._connections.setdefault(name, _Connection(self._redis, self._new_wire()))


@attrs.frozen
class _Connection:
    """A connection, whose commands are answered in order."""

    _redis: MemoryRedis
    _wire: _Wire

    def run(self, command):
        return self._wire.run(lambda: command(self._redis))


class Coordination(ClusterConnection):
    """The connection for the coordination. Commands that do not reach the server are lost."""

    def __init__(self, server, host, identifier, reach, latency):
        super().__init__(server, host, identifier)
        self._host, self._reach, self._wire = host, reach, _Wire(host, reach, latency)
        self._secret = f"secret of {identifier}".encode()  # as the real one, it writes back what it knows

    def _send(self, command, *arguments):
        self.commands.append(command)
        return self._wire.run(lambda: getattr(self.server, command)(*arguments))

    def peer_secret(self):
        def keep():
            self._secret = self.server.keep_secret(self._secret)
            return self._secret

        return self._wire.run(keep)

    def listen(self, bell):
        def ring(identifier):
            if self._host.is_alive and self._reach() and identifier != self._identifier:
                self._host.callLater(self._host.network.latency(), bell)

        self.server.bells.append(ring)


def shared_server(host, server, identifier, reach, latency, wall):
    """Returns the server as a gateway on that host uses it; `reach` and `latency` are as in `_Wire`."""
    leases = Leases(host.seconds)
    client = MemoryClient(host, server, reach, latency)
    return SharedServer(
        identifier, leases, URL, ("192.0.2.9", 6379), host.seconds,
        RedisStore(host, client, leases, identifier, HISTORY, wall),
        Coordination(server, host, identifier, reach, latency), RedisEvents(client, identifier),
        lambda lease: succeed(_Facts()), lambda: succeed(None))
