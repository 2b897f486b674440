"""The client: threads, deadlines, errors, and connections that are lost."""

import threading
from contextlib import suppress

import pytest
import pytest_twisted
import redis
from twisted.internet.defer import DeferredList
from twisted.internet.protocol import Factory, Protocol

from tests.ports import free_port
from tests.waiting import until
from wsdgateway.storage.coordination import DEADLINE, NotNow
from wsdgateway.storage.redis import keys
from wsdgateway.storage.redis.client import MAX_WAITING

SHORT = 2.0  # a deadline, in seconds, within which a loaded machine answers


async def problem(command):
    """The text of the `NotNow` with which the command fails."""
    with pytest.raises(NotNow) as failed:
        await command
    return str(failed.value)


async def outcome(command):
    """The text of the answer or of `NotNow`."""
    try:
        return str(await command)
    except NotNow as error:
        return str(error)


def get(redis):
    return redis.get("x")


@pytest_twisted.ensureDeferred
async def test_commands_run_in_order_in_a_thread(redis_server, make_client):
    took = []
    connection = make_client(redis_server.url, observe=took.append).connection("store")
    threads = set()

    def append(number):
        def run(redis):
            threads.add(threading.current_thread().name)
            return redis.rpush("numbers", number)
        return run

    answers = await DeferredList([connection.run(append(number)) for number in range(50)])
    assert [answer for _, answer in answers] == list(range(1, 51))
    assert await connection.run(lambda redis: redis.lrange("numbers", 0, -1)) == [b"%d" % one for one in range(50)]
    assert threads == {"redis-store"}
    assert len(took) == 51


@pytest_twisted.ensureDeferred
async def test_an_exception_of_a_command_reaches_the_caller(redis_server, make_client):
    connection = make_client(redis_server.url).connection("store")
    with pytest.raises(ZeroDivisionError):
        await connection.run(lambda redis: 1 // 0)
    assert await connection.run(get) is None


@pytest_twisted.ensureDeferred
async def test_a_stopped_server_costs_the_deadline_and_no_late_answer_is_mistaken(redis_server, make_client):
    from twisted.internet import reactor

    took = []
    client = make_client(redis_server.url, deadline=SHORT, observe=took.append)
    store, ticks = client.connection("store"), client.connection("ticks")
    await store.run(lambda redis: redis.mset({"x": "x", "y": "y"}))
    await ticks.run(get)
    redis_server.stop()
    started = reactor.seconds()
    results = await DeferredList([one.run(get) for one in (store, ticks, store)], consumeErrors=True)
    # An upper bound in real time would fail on a loaded machine; below the deadline nothing may fail.
    assert reactor.seconds() - started >= SHORT * 0.99
    assert [(success, result.type) for success, result in results] == [(False, NotNow)] * 3
    assert str(results[0][1].value) == f"{redis_server.url}: no answer within 2 s"
    assert len(took) == 2
    redis_server.cont()
    assert await store.run(lambda redis: redis.get("y")) == b"y"
    assert await ticks.run(lambda redis: redis.get("y")) == b"y"


def _listen(protocol, **counts):
    """Opens a port for a server with that protocol. Returns its factory, which has the counts, and the port."""
    from twisted.internet import reactor

    factory = Factory.forProtocol(protocol)
    vars(factory).update(counts)
    return factory, reactor.listenTCP(0, factory, interface="127.0.0.1")


class _Trickling(Protocol):
    """A server that answers everything with a string that comes slowly and never ends."""

    def connectionMade(self):
        self.transport.write(b"$1000\r\n")
        self._go_on()

    def _go_on(self):
        from twisted.internet import reactor

        self.transport.write(b"x")
        self._later = reactor.callLater(0.05, self._go_on)

    def connectionLost(self, reason):
        self._later.cancel()
        self.factory.lost += 1


@pytest_twisted.ensureDeferred
async def test_an_answer_that_comes_byte_by_byte_ends_at_the_deadline(make_client):
    factory, port = _listen(_Trickling, lost=0)
    client = make_client(f"redis://127.0.0.1:{port.getHost().port}", deadline=DEADLINE)
    assert "no answer within 1 s" in await problem(client.connection("store").run(get))
    await until(lambda: factory.lost == 1)  # the thread has given up, too
    await port.stopListening()


class _Late(Protocol):
    """A server that answers each command late, but within the deadline of a command."""

    def connectionMade(self):
        self.factory.made += 1

    def dataReceived(self, data):
        from twisted.internet import reactor

        reactor.callLater(0.6 * SHORT, self.transport.write, b"+OK\r\n")


@pytest_twisted.ensureDeferred
async def test_a_connection_to_a_server_that_answers_late_is_made_over_several_commands(make_client):
    factory, port = _listen(_Late, made=0)
    client = make_client(f"redis://:secret@127.0.0.1:{port.getHost().port}", deadline=SHORT)
    connection = client.connection("store")
    while await outcome(connection.run(get)) != "b'OK'":  # the first ones come too early
        assert factory.made == 1
    assert await connection.run(get) == b"OK" and factory.made == 1
    await client.close()
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_server_that_accepts_and_says_nothing(make_client):
    from twisted.internet import reactor

    port = reactor.listenTCP(0, Factory.forProtocol(Protocol), interface="127.0.0.1")
    client = make_client(f"redis://127.0.0.1:{port.getHost().port}", deadline=DEADLINE)
    assert "no answer within 1 s" in await problem(client.connection("store").run(get))
    await client.close()
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_nobody_listens(make_client):
    port = free_port()
    text = await problem(make_client(f"redis://:secret@127.0.0.1:{port}/0").connection("store").run(get))
    assert text == f"redis://…@127.0.0.1:{port}/0: Connection refused"


@pytest_twisted.ensureDeferred
async def test_a_restarted_server_is_used_again_at_once(redis_servers, make_client):
    server = redis_servers(port=free_port())
    connection = make_client(server.url).connection("store")
    await connection.run(lambda redis: redis.set("x", "1"))
    server.restart(keep=True)
    assert await connection.run(get) == b"1"
    server.restart(keep=False)
    assert await connection.run(get) is None


@pytest_twisted.ensureDeferred
async def test_too_many_commands_are_refused(redis_server, make_client):
    connection = make_client(redis_server.url).connection("store")
    waiting = [connection.run(get) for _ in range(MAX_WAITING)]
    assert f"{MAX_WAITING} commands wait" in await problem(connection.run(get))
    await DeferredList(waiting, consumeErrors=True)
    assert await connection.run(get) is None


@pytest_twisted.ensureDeferred
async def test_a_command_whose_deadline_passed_in_the_queue_is_not_sent(redis_server, make_client):
    connection = make_client(redis_server.url, deadline=SHORT).connection("store")
    go_on = threading.Event()
    held = connection.run(lambda redis: go_on.wait(60))
    written = connection.run(lambda redis: redis.set("x", "late"))
    await DeferredList([held, written], consumeErrors=True)
    go_on.set()
    assert await connection.run(get) is None


@pytest_twisted.ensureDeferred
async def test_loading(redis_server, make_client):
    redis_server.restart_loading()
    assert "loading" in (await problem(make_client(redis_server.url).connection("store").run(get))).lower()


@pytest_twisted.ensureDeferred
async def test_a_replica_takes_no_writes(redis_servers, make_client):
    server = redis_servers(port=free_port())
    connection = make_client(server.url).connection("store")
    for write in (lambda redis: redis.set("x", "1"), lambda redis: redis.eval("redis.call('SET', 'x', '1')", 0),
                  lambda redis: redis.pipeline().set("x", "1").execute()):
        await connection.run(write)
        former = await connection.run(lambda redis: redis.client_id())
        server.command("REPLICAOF", "127.0.0.1", str(free_port()))
        assert "read only replica" in await problem(connection.run(write))
        # A connection of its own asks the Sentinels again, which name another server.
        assert await connection.run(lambda redis: redis.client_id()) != former
        server.command("REPLICAOF", "NO", "ONE")


@pytest.mark.parametrize(("setting", "value", "expected"), [
    ("maxmemory", "1", "maxmemory"),
    ("min-replicas-to-write", "1", "NOREPLICAS"),
])
@pytest_twisted.ensureDeferred
async def test_a_server_that_refuses_writes(redis_server, make_client, setting, value, expected):
    connection = make_client(redis_server.url).connection("store")
    redis_server.command("CONFIG", "SET", setting, value)
    assert expected in await problem(connection.run(lambda redis: redis.set("x", "1")))
    redis_server.command("CONFIG", "SET", setting, "0")
    await connection.run(lambda redis: redis.set("x", "1"))


@pytest_twisted.ensureDeferred
async def test_of_a_message_with_advice_only_the_first_sentence_is_shown(redis_server, make_client):
    connection = make_client(redis_server.url).connection("store")

    def misconfigured(redis_):
        raise redis.ResponseError("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to "
                                  "persist to disk. Commands that may modify the data set are disabled. Please check.")

    assert await problem(connection.run(misconfigured)) == (
        f"{redis_server.url}: MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist "
        "to disk")


@pytest_twisted.ensureDeferred
async def test_a_server_that_is_busy_with_a_script(redis_server, make_client):
    redis_server.command("CONFIG", "SET", "busy-reply-threshold", "1")
    connection = make_client(redis_server.url).connection("store")
    await connection.run(get)
    with redis_server.connect() as other, suppress(redis.ResponseError):
        waiting = other.connection_pool.make_connection()
        waiting.send_command("EVAL", "while true do end", 0)
        while "BUSY" not in (text := await outcome(connection.run(get))):
            pass
        assert text.startswith(f"{redis_server.url}: BUSY ")
        other.script_kill()
        waiting.disconnect()
    while "BUSY" in (text := await outcome(connection.run(get))):
        pass
    assert text == "None"


@pytest.mark.parametrize(("password", "said"), [
    (None, "a password is required: give a password file, or the password in the URL"),
    ("wrong", "the password or user is wrong: correct the password file, or the URL")])
@pytest_twisted.ensureDeferred
async def test_a_wrong_password(redis_servers, make_client, password, said):
    server = redis_servers(requirepass="right")
    text = await problem(make_client(server.url, password).connection("store").run(get))
    assert text.startswith(f"{server.url}: {said} (") and text.endswith(("d)", "d.)")) and ".)" not in text
    assert await make_client(server.url, "right").connection("store").run(get) is None


@pytest_twisted.ensureDeferred
async def test_a_user_without_a_right(redis_server, make_client):
    redis_server.command("ACL", "SETUSER", "gateway", "on", ">secret", "~*", "+@connection", "+get")
    connection = make_client(f"redis+unix://gateway:secret@{redis_server.socket}").connection("store")
    assert await connection.run(get) is None
    assert "the user lacks a right" in await problem(connection.run(lambda redis: redis.set("x", "1")))


@pytest_twisted.ensureDeferred
async def test_the_bell_rings_after_each_connection_and_for_each_message(redis_servers, make_client):
    server = redis_servers(port=free_port())
    client = make_client(server.url)
    rung = []
    client.listen(rung.append)
    await until(lambda: rung == [b""])
    server.command("PUBLISH", keys.BELL, "me")
    await until(lambda: rung == [b"", b"me"])
    server.restart(keep=False)
    await until(lambda: rung == [b"", b"me", b""])
    server.command("PUBLISH", keys.BELL, "you")
    await until(lambda: rung[3:] == [b"you"])


class _HalfDead(Protocol):
    """A server that confirms a subscription, and then answers nothing."""

    is_silent = False

    def dataReceived(self, data):
        if self.is_silent:
            return
        self.transport.write(b"+OK\r\n" * (data.count(b"SETINFO") + data.count(b"PING")))
        if b"SUBSCRIBE" in data:
            self.is_silent = True
            name = keys.BELL.encode()
            self.transport.write(b"*3\r\n$9\r\nsubscribe\r\n$%d\r\n%s\r\n:1\r\n" % (len(name), name))


@pytest_twisted.ensureDeferred
async def test_the_bell_notices_a_server_that_does_not_answer_a_ping(make_client, monkeypatch):
    from twisted.internet import reactor

    monkeypatch.setattr("wsdgateway.storage.redis.bell.PING_AFTER", 0.1)
    port = reactor.listenTCP(0, Factory.forProtocol(_HalfDead), interface="127.0.0.1")
    client = make_client(f"redis://127.0.0.1:{port.getHost().port}", deadline=SHORT)
    rung = []
    client.listen(rung.append)
    await until(lambda: rung == [b"", b""])  # connected twice
    await client.close()
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_closing_ends_threads_and_connections(redis_server, make_client):
    client = make_client(redis_server.url)
    connection = client.connection("store")
    client.listen(lambda message: None)
    last = connection.run(lambda redis: redis.set("x", "1"))
    await client.close()
    assert await last
    assert "closed" in await problem(connection.run(get))
    await until(lambda: not [one for one in threading.enumerate() if one.name.startswith("redis-")])
    await until(lambda: len(redis_server.command("CLIENT", "LIST").strip().splitlines()) == 1)


@pytest_twisted.ensureDeferred
async def test_closing_while_the_server_is_stopped(redis_server, make_client):
    client = make_client(redis_server.url, deadline=SHORT)
    client.listen(lambda message: None)
    await client.connection("store").run(get)
    redis_server.stop()
    last = client.connection("store").run(get)
    closed = client.close()
    assert "no answer" in await problem(last)
    await closed
    await until(lambda: not [one for one in threading.enumerate() if one.name.startswith("redis-")])
    redis_server.cont()
