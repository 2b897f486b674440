"""Store, scanner and notifications for the model of subscriptions: each acts when the model tells it to."""

from twisted.internet.defer import Deferred

from tests.messages import envelope, fault, get_job_elements, status_response
from wsdgateway.bridge.decisions import Reply
from wsdgateway.bridge.scanjobs.scanjob import Refusal
from wsdgateway.net.transport.errors import BadDevice, DeviceError, Unavailable
from wsdgateway.scan.jobelements import read_request, read_response
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSA, WSCN, WSE

W, A, S = f"{{{WSE}}}", f"{{{WSA}}}", f"{{{WSCN}}}"
GRANT = 600.0
SILENT = "silent"  # the JobId of a job of which the scanner sends no events


class Store:
    """Writes when the model tells it to; writes that are still pending are lost with the process."""

    def __init__(self, kept):
        self.kept, self.queue = kept, []

    def __getattr__(self, name):
        def ask(*arguments):
            done = Deferred()
            self.queue.append((done, name, arguments))
            return done
        return ask

    def write(self, count):
        for _ in range(min(count, len(self.queue))):
            done, name, arguments = self.queue.pop(0)
            getattr(self.kept, name)(*arguments)
            done.callback(None)


class Device:
    """Scanner's event source: its subscriptions with their expiry, and the requests that await an answer.

    If `renews` is False, it refuses every Renew. If `readable` is False, its successes have an empty body. `unheard`
    are the subscriptions whose grant never reached the gateway.
    """

    def __init__(self):
        self.held, self.queue, self.count, self.away = {}, [], 0, False
        self.renews = self.readable = True
        self.ends, self.unheard = {}, set()
        self.now = 0.0
        self.silent_changes = 0  # of the job without events

    def expire(self, now):
        self.now = now
        for identifier in [one for one in self.held if self.ends[one] <= now]:
            del self.held[identifier]

    def purposes(self):
        """Returns the purpose of each subscription known to the gateway: None for its own, else a client's number."""
        return [next((context for context in tokens if context != "ctx"), None)
                for identifier, (_, _, tokens) in self.held.items() if identifier not in self.unheard]

    async def own(self, url, operation, body):
        if self.away:
            raise Unavailable("192.0.2.20", "it is away")
        done = Deferred()
        self.queue.append((done, body))
        return await done

    def job_status(self, job_id):
        """Answers with the status of the job without events, or of one whose only state was an event."""
        if job_id != SILENT:
            return status_response(job_id)
        return status_response(job_id, "Processing", self.silent_changes, reasons=(f"m{self.silent_changes}",))

    def answer(self, place=0, *, arrives=True):
        done, body = self.queue.pop(place)
        reply = self.reply(body, is_heard=arrives and self.readable)
        if arrives:
            done.callback(reply)
        else:
            broken = BadDevice("192.0.2.20", "it closed the connection")
            broken.sent = True
            done.errback(broken)

    def reply(self, body, *, is_heard):
        message = read(body)
        name = message.action.rpartition("/")[2]
        if name == "GetJobElements":
            return Reply(200, b"application/soap+xml", self.job_status(read_request(message.body).job_id))
        if name == "Subscribe":
            self.count += 1
            identifier = f"d{self.count}"
            contexts = [element.text for element in message.body.iter(f"{S}ClientContext")]
            tokens = {context: f"t{self.count}-{context}" for context in contexts}
            self.ends[identifier] = self.now + GRANT
            if not is_heard:
                self.unheard.add(identifier)
            self.held[identifier] = (message.body.findtext(f"{W}Delivery/{W}NotifyTo/{A}Address"),
                                     message.body.findtext(f"{W}Filter").split(), tokens)
            listed = "".join(f"<wscn:DestinationResponse><wscn:ClientContext>{context}</wscn:ClientContext>"
                             f"<wscn:DestinationToken>{token}</wscn:DestinationToken></wscn:DestinationResponse>"
                             for context, token in tokens.items())
            reply = envelope(f"{WSE}/SubscribeResponse", (
                "<wse:SubscribeResponse><wse:SubscriptionManager><wsa:Address>http://192.0.2.20/m</wsa:Address>"
                f"<wsa:ReferenceParameters><wse:Identifier>{identifier}</wse:Identifier></wsa:ReferenceParameters>"
                f"</wse:SubscriptionManager><wse:Expires>PT{GRANT:.0f}S</wse:Expires>"
                f"<wscn:DestinationResponses>{listed}</wscn:DestinationResponses></wse:SubscribeResponse>"))
        elif (identifier := message.header.findtext(f"{W}Identifier")) in self.held and (
                self.renews or name == "Unsubscribe"):
            if name == "Unsubscribe":
                del self.held[identifier]
            else:
                self.ends[identifier] = self.now + GRANT
            reply = envelope(f"{WSE}/{name}Response", f"<wse:{name}Response/>")
        else:
            return Reply(400, b"application/soap+xml", fault("wse:InvalidMessage"))
        return Reply(200, b"application/soap+xml", reply if self.readable else b"")


class StatusReads:
    """Asks the scanner for jobs on the queue of its other requests, unless the job table has the answer."""

    def __init__(self, scanner, device, clock):
        self.scanner, self.device, self.clock = scanner, device, clock

    async def look_up(self, job_id, client):
        table = self.scanner.bridge.table
        known = table.readable(job_id, self.clock.seconds())
        if known is not None:
            return known
        sent, at = table.moment(), self.clock.seconds()
        try:
            reply = await self.device.own("", None, get_job_elements(job_id))
        except DeviceError:
            return Refusal("", unreachable=True)
        status = read_response(read(reply.body).body).status
        table.answered(status, sent, at)
        self.scanner.polling.look()
        return status

    async def history(self, client):
        raise AssertionError("the scanner knows its jobs")


class NotificationExchange:
    """Exchange of a notification that the device sends."""

    client, peer = "192.0.2.20", "192.0.2.20:1"
    gone, fault, tape, passed, written, content_type = False, None, None, None, 0, b"application/soap+xml"

    def __init__(self, body):
        self.request, self.body, self.status = self, body, None
        self.is_aborted = False

    def abort(self):
        self.is_aborted = True

    def answer(self, status, body, *rest):
        self.status = status
