"""Clients and event sinks, which record what they ask and receive."""

import http.client
import itertools
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import attrs

from tests.cluster.history import NO_ANSWER
from tests.cluster.recorder import fault_in_answer, image_in, read_or_none, statuses_in
from tests.messages import SCAN, envelope, get_job_elements, job_request, manage, subscribe
from wsdgateway.scan.jobs import CreatedJob, read_created, write_create, write_retrieve
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSE

PATH = "/front-desk/scan"
ANSWER_SECONDS = 30.0
_W = f"{{{WSE}}}"
_sinks = itertools.count(1)


def ticket(source="Platen", pages=1, resolution=100, name="Lab"):
    """Returns a ScanTicket."""
    return (
        f"<wscn:ScanTicket><wscn:JobDescription><wscn:JobName>{name}</wscn:JobName></wscn:JobDescription>"
        f"<wscn:DocumentParameters><wscn:InputSource>{source}</wscn:InputSource><wscn:ImagesToTransfer>{pages}"
        "</wscn:ImagesToTransfer><wscn:MediaSides><wscn:MediaFront><wscn:ScanRegion><wscn:ScanRegionWidth>6000"
        "</wscn:ScanRegionWidth><wscn:ScanRegionHeight>6000</wscn:ScanRegionHeight></wscn:ScanRegion><wscn:Resolution>"
        f"<wscn:Width>{resolution}</wscn:Width><wscn:Height>{resolution}</wscn:Height></wscn:Resolution>"
        "</wscn:MediaFront></wscn:MediaSides></wscn:DocumentParameters></wscn:ScanTicket>")


@attrs.frozen
class Creation:
    """A CreateScanJob that can be sent again: its MessageID and its bytes."""

    message_id: str
    message: bytes

    @classmethod
    def new(cls, message_id=None, **wanted):
        """Returns one with a new MessageID, or with the one that is given."""
        message_id = message_id or f"urn:uuid:{uuid.uuid4()}"
        return cls(message_id, envelope(
            f"{SCAN}/CreateScanJob", write_create(ticket(**wanted)), message_id=message_id))


@attrs.frozen
class Reply:
    """The answer that a client got: HTTP status and body, neither if the connection broke. `entry` is its record."""

    status: int | None
    body: bytes
    entry: object


class Client:
    """A client at an address of loopback of its own. Each request has a connection of its own.

    `ports` maps the names of the gateways to their ports.
    """

    def __init__(self, recorder, ports, address="127.0.0.1", seconds=ANSWER_SECONDS):
        self._recorder, self._ports, self._address, self._seconds = recorder, ports, address, seconds

    def post(self, gateway, message, path=PATH):
        """Returns status and body of the answer, None and nothing if there was no complete one."""
        connection = http.client.HTTPConnection("127.0.0.1", self._ports[gateway], timeout=self._seconds,
                                                source_address=(self._address, 0))
        try:
            connection.request("POST", path, message, {
                "Content-Type": "application/soap+xml", "Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return None, b""
        finally:
            connection.close()

    def _ask(self, gateway, operation, message, read_entry=lambda body: {}, **entry):
        begin = time.monotonic()
        status, body = self.post(gateway, message)
        end = time.monotonic()
        fault = NO_ANSWER if status is None else fault_in_answer(status, body)
        found = read_entry(body) if fault is None else {}
        return Reply(status, body, self._recorder.answered(
            begin=begin, end=end, gateway=gateway, operation=operation, client=self._address,
            **{"fault": fault, **entry, **found}))

    def read(self, gateway, job_id):
        """Reads the status of a job. Returns what was recorded of it."""
        def read_status(body):
            found = statuses_in(read(body).body)
            return {"status": found[0]} if found else {"fault": "no status"}

        message = get_job_elements(job_id, message_id=f"urn:uuid:{uuid.uuid4()}")
        return self._ask(gateway, "GetJobElements", message, read_status, job_id=job_id).entry

    def list(self, gateway, operation):
        """Reads the active jobs or the history of jobs. Returns what was recorded of it."""
        message = envelope(f"{SCAN}/{operation}", f"<wscn:{operation}Request/>",
                           message_id=f"urn:uuid:{uuid.uuid4()}")
        return self._ask(gateway, operation, message, lambda body: {"statuses": statuses_in(read(body).body)}).entry

    def create(self, gateway, creation):
        """Sends a CreateScanJob. Returns the job, None if there is none, and what was recorded of it."""
        reply = self._ask(gateway, "CreateScanJob", creation.message, lambda body: {
            "job_id": read_created(read(body).body).job_id}, request=creation.message_id)
        return read_created(read(reply.body).body) if reply.entry.is_good else None, reply.entry

    def cancel(self, gateway, job_id):
        """Cancels a job. Returns what was recorded of it."""
        message = job_request("CancelJob", job_id, message_id=f"urn:uuid:{uuid.uuid4()}")
        return self._ask(gateway, "CancelJob", message, job_id=job_id).entry

    def retrieve(self, gateway, job):
        """Fetches a page of a job. Returns the bytes of the answer, and what was recorded of it."""
        message = envelope(f"{SCAN}/RetrieveImage", write_retrieve(CreatedJob(job.job_id, job.job_token), "p"),
                           message_id=f"urn:uuid:{uuid.uuid4()}")
        reply = self._ask(gateway, "RetrieveImage", message, lambda body: {"image": image_in(body)},
                          job_id=job.job_id)
        return reply.body, reply.entry

    def subscribe(self, gateway, sinks, events=None, destinations=()):
        """Subscribes with a sink of its own. Returns the subscription, None if it was refused, and the answer."""
        sink = sinks.new()
        reply = self._ask(gateway, "Subscribe", subscribe(
            sinks.url(sink, self._address), events=events, destinations=destinations,
            message_id=f"urn:uuid:{uuid.uuid4()}"), sink=sink)
        if not reply.entry.is_good:
            return None, reply
        self._recorder.granted(sink, events)
        return (sink, read(reply.body).body.findtext(f".//{_W}Identifier")), reply

    def renew(self, gateway, subscription):
        """Renews a subscription. Returns what was recorded of it."""
        return self._ask(gateway, "Renew", manage(
            "Renew", subscription[1], expires="PT1H", message_id=f"urn:uuid:{uuid.uuid4()}"),
            sink=subscription[0]).entry

    def unsubscribe(self, gateway, subscription):
        """Ends a subscription. Returns what was recorded of it."""
        self._recorder.unsubscribing(subscription[0])
        return self._ask(gateway, "Unsubscribe", manage(
            "Unsubscribe", subscription[1], message_id=f"urn:uuid:{uuid.uuid4()}"), sink=subscription[0]).entry


class Sinks:
    """A server for the event sinks of all clients. Each sink is a path of its own; `received` has the messages."""

    def __init__(self, recorder):
        received = self.received = {}

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self):
                message = read_or_none(self.rfile.read(int(self.headers["Content-Length"])))
                if message is not None:
                    recorder.delivered(self.path, message)
                    received.setdefault(self.path, []).append(message)
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments):
                """Suppresses the log of requests."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, request, client_address):
                """Ignores a gateway that was killed before it had its answer."""

        self._server = Server(("", 0), Receiver)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def new(self):
        """Returns a sink that nobody has used."""
        return f"/sink-{next(_sinks)}"

    def url(self, sink, address):
        """Returns the URL of a sink at the address of a client, since a gateway notifies no other host than that."""
        return f"http://{address}:{self._server.server_address[1]}{sink}"

    def stop(self):
        """Closes the port."""
        self._server.shutdown()
        self._server.server_close()
