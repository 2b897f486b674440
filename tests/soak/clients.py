"""Clients of the soak: a hundred active ones, and passive ones.

Each active client acts at random times, so that any two actions will coincide.
"""

import asyncio
import random
import re

from actions import fault_name
from http_client import Client, message, pause
from passiveclients import PassiveClients

from tests.messages import get_job_elements, manage, subscribe
from wsdgateway.scan.destinations import read_tokens
from wsdgateway.scan.events import read_job_event
from wsdgateway.scan.jobs import CreatedJob, write_cancel, write_retrieve
from wsdgateway.scan.operations import JOB_STATUS
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSE
from wsdgateway.soap.parsing import Malformed

KINDS = {"poller": 60, "scanner": 12, "canceler": 8, "subscriber": 12, "pusher": 4, "vanisher": 4}
_W = f"{{{WSE}}}"


class Clients(PassiveClients):
    """All clients. `checker` receives their statuses, `done` counts requests, `failures` lists failed probes."""

    def __init__(self, testbed, checker, seed, lag=None):
        super().__init__(testbed, checker, seed, lag)
        self._tasks, self._sinks, self._server = [], {}, None

    async def start(self, idle=1000, slow=50):
        self._server = await asyncio.start_server(self._receive_event, "127.0.0.1", 0)
        self._events = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        jobs = [getattr(self, f"_{kind}")(random.Random(f"{self.seed} {kind} {number}"))
                for kind, count in KINDS.items() for number in range(count)]
        jobs += [self._idler(random.Random(f"{self.seed} idler {number}")) for number in range(idle)]
        jobs += [self._slow(random.Random(f"{self.seed} slow {number}")) for number in range(slow)]
        jobs += [self._probe(), self._local_probe()]
        self._tasks = [asyncio.create_task(self._run(job)) for job in jobs]

    async def _run(self, job):
        """Runs a client, and reports an error in its own code."""
        try:
            await job
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.checker.violated("of the soak itself", f"a client ended with {type(error).__name__}: {error}")

    async def leave(self):
        """Stops all clients."""
        self.stop.set()
        await asyncio.sleep(1.0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._server.close()

    # Polling, scanning, cancelling.

    def _somewhere(self, chance):
        return chance.choice([one.name for one in self.testbed.faulty])

    async def _poller(self, chance):
        client = Client(self.testbed.port)
        while not self.stop.is_set():
            scanner = self._somewhere(chance)
            if chance.random() < 0.02:
                await self.ask(client, "lost", get_job_elements("1"))
            elif chance.random() < 0.02:
                status, answer = await self.ask(client, scanner, get_job_elements("987654321"))
                if status == 200:
                    self.checker.answered_unknown(scanner, "987654321", answer)
            elif self.recent[scanner]:
                await self.read_status(client, scanner, chance.choice(self.recent[scanner]))
            await pause(self.stop, chance.uniform(0.1, 1.2))
            if chance.random() < 0.05:
                client.close()
        client.close()

    async def _scanner(self, chance):
        client = Client(self.testbed.port)
        while not self.stop.is_set():
            scanner = self._somewhere(chance)
            job = await self.create(client, scanner)
            if job is not None:
                await self.fetch(client, scanner, *job)
                await self.read_status(client, scanner, job[0])
            await pause(self.stop, chance.uniform(0.5, 4.0))
        client.close()

    async def _canceler(self, chance):
        client, other = Client(self.testbed.port), Client(self.testbed.port)
        while not self.stop.is_set():
            scanner = self._somewhere(chance)
            job = await self.create(client, scanner)
            if job is not None:
                fetching = asyncio.create_task(self.fetch(client, scanner, *job))
                await pause(self.stop, chance.uniform(0.0, 0.6))
                before = await self.read_status(other, scanner, job[0])
                status, _ = await self.ask(other, scanner, message("CancelJob", write_cancel(job[0])))
                if status == 200 and before is not None:
                    self.done["cancels"] += 1
                    self.checker.canceled(scanner, job[0], before.created)
                    await self.read_status(other, scanner, job[0])
                await fetching
            await pause(self.stop, chance.uniform(1.0, 6.0))
        client.close()
        other.close()

    async def _vanisher(self, chance):
        """Sends requests, and closes the connection before the answer or in the middle of an image."""
        client = Client(self.testbed.port)
        while not self.stop.is_set():
            scanner = self._somewhere(chance)
            job = await self.create(client, scanner) if chance.random() < 0.3 else None
            try:
                if job is not None:
                    reader = await client.send(f"/{scanner}/scan", message(
                        "RetrieveImage", write_retrieve(CreatedJob(*job), "p")))
                    async with asyncio.timeout(chance.uniform(0.0, 2.0)):
                        await reader.read(20000)
                else:
                    job_id = chance.choice(self.recent[scanner] or ["1"])
                    await client.send(f"/{scanner}/scan", get_job_elements(job_id))
                    await pause(self.stop, chance.uniform(0.0, 0.01))
            except (OSError, TimeoutError):
                pass
            client.close()
            self.done["vanished"] += 1
            await pause(self.stop, chance.uniform(0.5, 3.0))

    # Events.

    async def _receive_event(self, reader, writer):
        """Receives an event, as an event sink."""
        try:
            async with asyncio.timeout(30):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(re.search(rb"(?i)content-length: *(\d+)", head)[1])
                envelope = read(await reader.readexactly(length))
                writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
            _, scanner, number = head.split(b" ", 2)[1].decode().split("/")
            self.done["events"] += 1
            event = (envelope.action or "").rpartition("/")[2]
            if event == "JobStatusEvent":
                self.checker.event(scanner, read_job_event(JOB_STATUS, envelope.body))
            elif event == "ScanAvailableEvent" and number in self._sinks:
                self._sinks[number].put_nowait(envelope)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, Malformed):
            self.done["events broken off"] += 1
        finally:
            writer.close()

    async def _subscription(self, client, scanner, number, **more):
        status, answer = await self.ask(client, scanner, subscribe(
            f"{self._events}/{scanner}/{number}", expires="PT20M", **more))
        return read(answer).body if status == 200 else None

    async def _subscriber(self, chance):
        client = Client(self.testbed.port)
        while not self.stop.is_set():
            scanner = chance.choice([*self.testbed.scanners])
            granted = await self._subscription(client, scanner, chance.randrange(10**9))
            identifier = None if granted is None else granted.findtext(f".//{_W}Identifier")
            while identifier is not None and not self.stop.is_set() and chance.random() < 0.9:
                await pause(self.stop, chance.uniform(2.0, 8.0))
                status, answer = await self.ask(client, scanner, manage("Renew", identifier, expires="PT20M"))
                if status == 200:
                    self.done["renewals"] += 1
                elif fault_name(answer) == "InvalidMessage":
                    self.failures.append(f"a subscription at {scanner} ended too early")
                    break
            if identifier is not None:
                await self.ask(client, scanner, manage("Unsubscribe", identifier))
            await pause(self.stop, chance.uniform(0.5, 3.0))
        client.close()

    async def _pusher(self, chance):
        """Registers a destination, has its button pressed, and scans."""
        client = Client(self.testbed.port)
        while not self.stop.is_set():
            scanner = self.testbed.scanners["desk"]
            number, context = str(chance.randrange(10**9)), f"ctx-{chance.randrange(10**9)}"
            granted = await self._subscription(client, scanner.name, number, events=["ScanAvailableEvent"],
                                               destinations=[(context, "Soak")])
            if granted is not None:
                queue = self._sinks[number] = asyncio.Queue()
                token = dict(read_tokens(granted)).get(context)
                for _ in range(chance.randrange(1, 8)):
                    await scanner.control(f"press?context={context}")
                    try:
                        async with asyncio.timeout(5):
                            event = await queue.get()
                    except TimeoutError:
                        continue  # a restarted scanner has lost its destinations
                    identifier = event.body.findtext("{*}ScanIdentifier")
                    job = await self.create(client, scanner.name, (
                        f"<wscn:ScanIdentifier>{identifier}</wscn:ScanIdentifier><wscn:DestinationToken>{token}"
                        "</wscn:DestinationToken>"))
                    if job is not None:
                        self.done["pushed"] += 1
                        await self.fetch(client, scanner.name, *job)
                    await pause(self.stop, chance.uniform(0.5, 5.0))
                del self._sinks[number]
                await self.ask(client, scanner.name, manage("Unsubscribe", granted.findtext(f".//{_W}Identifier")))
            await pause(self.stop, chance.uniform(1.0, 5.0))
        client.close()
