"""A device on loopback that writes, refuses and handles subscriptions in one of the styles of `fieldstyles`."""

import re
from io import BytesIO

import attrs
from PIL import Image

from tests.fieldstyles import URIS, UUID, Refusal
from tests.peers import Device, ask
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSA, WSCN, WSDP, WSE, WXF

_OFFER = ("<n:{0}MinimumSize><n:Width>1</n:Width><n:Height>1</n:Height></n:{0}MinimumSize><n:{0}MaximumSize>"
          "<n:Width>8500</n:Width><n:Height>11700</n:Height></n:{0}MaximumSize><n:{0}Color>"
          "<n:ColorEntry>Grayscale8</n:ColorEntry><n:ColorEntry>RGB24</n:ColorEntry></n:{0}Color><n:{0}Resolutions>"
          "<n:Widths><n:Width>100</n:Width><n:Width>300</n:Width></n:Widths><n:Heights><n:Height>100</n:Height>"
          "<n:Height>300</n:Height></n:Heights></n:{0}Resolutions>")
ELEMENTS = {"ScannerConfiguration": (
    '<n:ElementData Name="n:ScannerConfiguration" Valid="true"><n:ScannerConfiguration><n:DeviceSettings>'
    "<n:FormatsSupported><n:FormatValue>exif</n:FormatValue></n:FormatsSupported></n:DeviceSettings><n:Platen>"
    f"{_OFFER.format('Platen')}</n:Platen><n:ADF><n:ADFSupportsDuplex>0</n:ADFSupportsDuplex><n:ADFFront>"
    f"{_OFFER.format('ADF')}</n:ADFFront></n:ADF></n:ScannerConfiguration></n:ElementData>"), "ScannerStatus": (
    '<n:ElementData Name="n:ScannerStatus" Valid="true"><n:ScannerStatus><n:ScannerState>Idle</n:ScannerState>'
    "<n:ScannerStateReasons><n:ScannerStateReason>None</n:ScannerStateReason></n:ScannerStateReasons>"
    "</n:ScannerStatus></n:ElementData>")}


def page(number):
    """Returns a tiny image, different for each number."""
    file = BytesIO()
    Image.new("L", (8, 8), number * 20 % 256).save(file, "JPEG")
    return file.getvalue()


def unused_prefixes(message):
    """Returns the prefixes that an envelope declares but uses neither in names nor in possible QNames."""
    text = message.decode()
    return [prefix for prefix in re.findall(r"xmlns:([\w.-]+)=", text)
            if not re.search(rf"[</\s\"'>]{re.escape(prefix)}:\w", text)]


@attrs.define
class Listener:
    """A subscription at the device: the address for its events, and the token of each context."""

    notify_to: str
    tokens: dict[str, str]


class FieldDevice:
    """A device with the given style.

    `asked` lists (operation, envelope) of every request, and `raw` its bytes. `refused` holds the bytes of the requests
    with too many unused prefixes. `sent` holds the last body sent for each operation; `expires` is the lifetime that
    the device grants.
    """

    def __init__(self, style, *, sheets=2, expires="PT1H"):
        self.style, self.sheets, self.expires = style, sheets, expires
        self.asked, self.raw, self.refused, self.sent, self.late = [], [], [], {}, []
        self.jobs, self.listeners = {}, {}
        self._numbers = 0
        self.device = Device()
        self.device.handle = self._take

    async def start(self):
        await self.device.start()
        self.base = f"http://127.0.0.1:{self.device.port}"
        self.url = self.base + self.style.device_path
        self.scan_url = self.base + self.style.scan_path

    async def stop(self):
        await self.device.stop()

    @property
    def operations(self):
        """The operation names of all requests, in order."""
        return [operation for operation, _ in self.asked]

    def release(self):
        """Sends the delayed answers."""
        for answer in self.late:
            answer()
        self.late.clear()

    def reboot(self):
        """Loses all jobs and subscriptions."""
        self.jobs.clear()
        self.listeners.clear()

    async def press(self, context):
        """Sends a ScanAvailableEvent to every subscription with that context; returns the HTTP status of each answer.
        """
        received = []
        for listener in list(self.listeners.values()):
            if context in listener.tokens:
                _, _, authority, path = listener.notify_to.split("/", 3)
                event = self._write(f"{WSCN}/ScanAvailableEvent", (
                    "<n:ScanAvailableEvent><n:ClientContext>" + context + "</n:ClientContext><n:ScanIdentifier>press-"
                    + self._number("{}") + "</n:ScanIdentifier><n:InputSource>ADF</n:InputSource>"
                    "</n:ScanAvailableEvent>"), to=listener.notify_to)
                received.append((await ask(int(authority.rpartition(":")[2]), f"/{path}", event))[0].status)
        return received

    # Answers to requests.

    def _take(self, asked):
        raw = asked.request.body
        message = read(raw)
        operation = message.action.rpartition("/")[2]
        self.asked.append((operation, message))
        self.raw.append(raw)
        if len(unused_prefixes(raw)) > self.style.at_most_unused:
            self.refused.append(raw)
            self._refuse(asked, message, Refusal(500, "Receiver", "OperationFailed", "Can't be done."))
            return
        if not self.style.is_eventful and message.action.startswith(WSE):
            self._refuse(asked, message, self.style.unknown)
            return
        {"Get": self._get, "GetScannerElements": self._elements, "CreateScanJob": self._create,
         "RetrieveImage": self._image, "CancelJob": self._cancel, "GetJobElements": self._job,
         "Subscribe": self._subscribe, "Renew": self._manage, "Unsubscribe": self._manage}.get(
            operation, lambda *_: self._refuse(asked, message, self.style.unknown))(asked, message)

    def _get(self, asked, message):
        path = self.style.scan_path
        places = (place.format(base=self.base, port=self.device.port) for place in self.style.hosted)
        references = "".join(
            f"<a:EndpointReference><a:Address>{place}{path}</a:Address></a:EndpointReference>" for place in places)
        serial = f"<p:SerialNumber>{self.style.serial}</p:SerialNumber>" if self.style.serial else ""
        host = "" if not self.style.has_host else (
            f"<p:Host><a:EndpointReference><a:Address>{self.style.endpoint}</a:Address></a:EndpointReference>"
            f"<p:Types>n:ScanDeviceType</p:Types><p:ServiceId>{self.style.endpoint}</p:ServiceId></p:Host>")
        self._reply(asked, message, f"{WXF}/GetResponse", (
            f'<m:Metadata><m:MetadataSection Dialect="{WSDP}/ThisModel"><p:ThisModel><p:Manufacturer>Example'
            f"</p:Manufacturer><p:ModelName>{self.style.name} 1</p:ModelName><p:PresentationUrl>{self.base}/"
            "</p:PresentationUrl><i:DeviceCategory>Scanners MFP</i:DeviceCategory></p:ThisModel></m:MetadataSection>"
            f'<m:MetadataSection Dialect="{WSDP}/ThisDevice"><p:ThisDevice><p:FriendlyName>{self.style.name} in the '
            f"hall</p:FriendlyName>{serial}</p:ThisDevice></m:MetadataSection>"
            f'<m:MetadataSection Dialect="{WSDP}/Relationship"><p:Relationship Type="{WSDP}/host">{host}<p:Hosted>'
            f"{references}<p:Types>n:ScannerServiceType</p:Types><p:ServiceId>uri:{UUID}/scan</p:ServiceId>"
            f"<i:CompatibleId>{WSCN}/ScannerServiceType</i:CompatibleId><i:HardwareId>VEN_0001</i:HardwareId>"
            "</p:Hosted></p:Relationship></m:MetadataSection></m:Metadata>"))

    def _elements(self, asked, message):
        wanted = [name.text.rpartition(":")[2] for name in message.body.iter(f"{{{WSCN}}}Name")]
        more = "".join(element for name, element in ELEMENTS.items() if name in wanted)
        self._reply(asked, message, f"{WSCN}/GetScannerElementsResponse", (
            '<n:GetScannerElementsResponse><n:ScannerElements><n:ElementData Name="n:ScannerDescription" Valid="true">'
            f"<n:ScannerDescription><n:ScannerName>{self.style.name}</n:ScannerName></n:ScannerDescription>"
            f"</n:ElementData>{more}</n:ScannerElements></n:GetScannerElementsResponse>"))

    def _create(self, asked, message):
        token = message.body.findtext(f"{{{WSCN}}}DestinationToken")
        if token is not None and all(token not in one.tokens.values() for one in self.listeners.values()):
            self._refuse(asked, message, self.style.bad_token)
            return
        if not self.sheets:
            self._refuse(asked, message, self.style.empty)
            return
        job = self._number("{}")
        self.jobs[job] = self.sheets
        self._reply(asked, message, f"{WSCN}/CreateScanJobResponse", (
            f"<n:CreateScanJobResponse><n:JobId>{job}</n:JobId><n:JobToken>token-{job}</n:JobToken>"
            "</n:CreateScanJobResponse>"))

    def _image(self, asked, message):
        job = message.body.findtext(f"{{{WSCN}}}JobId")
        left = self.jobs.get(job, 0)
        if not left:
            self._refuse(asked, message, self.style.no_images)
            return
        self.jobs[job] = left - 1
        root = self._write(f"{WSCN}/RetrieveImageResponse", (
            '<n:RetrieveImageResponse><n:ScanData><x:Include href="cid:page@device"/></n:ScanData>'
            "</n:RetrieveImageResponse>"), relates_to=message.message_id)
        blank = self.style.blank
        head = (f"--field\r\nContent-Type:{blank}application/xop+xml;charset=utf-8;type=\"application/soap+xml\"\r\n"
                f"Content-ID:{blank}<root@device>\r\n\r\n").encode()
        between = (f"\r\n--field\r\nContent-Type:{blank}image/jpeg\r\nContent-Transfer-Encoding:{blank}binary\r\n"
                   f"Content-ID:{blank}<page@device>\r\n\r\n").encode()
        self._send(asked, "RetrieveImage", 200, head + root + between + page(left) + b"\r\n--field--\r\n",
                   'multipart/related; type="application/xop+xml"; boundary="field"; start="<root@device>"; '
                   'start-info="application/soap+xml"')

    def _cancel(self, asked, message):
        self.jobs.pop(message.body.findtext(f"{{{WSCN}}}JobId"), None)
        self._reply(asked, message, f"{WSCN}/CancelJobResponse", "<n:CancelJobResponse/>")

    def _job(self, asked, message):
        job = message.body.findtext(f"{{{WSCN}}}JobId")
        if job not in self.jobs:
            self._refuse(asked, message, Refusal(400, "Sender", "ClientErrorJobIdNotFound", "No such job."))
            return
        state = "Processing" if self.jobs[job] else "Completed"
        self._reply(asked, message, f"{WSCN}/GetJobElementsResponse", (
            '<n:GetJobElementsResponse><n:JobElements><n:ElementData Name="n:JobStatus" Valid="true"><n:JobStatus>'
            f"<n:JobId>{job}</n:JobId><n:JobState>{state}</n:JobState><n:JobStateReasons><n:JobStateReason>None"
            "</n:JobStateReason></n:JobStateReasons><n:ScansCompleted>0</n:ScansCompleted></n:JobStatus></n:ElementData>"
            "</n:JobElements></n:GetJobElementsResponse>"))

    def _subscribe(self, asked, message):
        identifier = self._number(self.style.identifier)
        contexts = [one.text.strip() for one in message.body.iter(f"{{{WSCN}}}ClientContext")]
        notify_to = message.body.findtext(f".//{{{WSE}}}NotifyTo/{{{WSA}}}Address").strip()
        tokens = {context: self._number(self.style.token) for context in contexts}
        self.listeners[identifier] = Listener(notify_to, tokens)
        responses = "".join(
            f"<n:DestinationResponse><n:ClientContext>{context}</n:ClientContext><n:DestinationToken>{token}"
            "</n:DestinationToken></n:DestinationResponse>" for context, token in tokens.items())
        responses = responses and f"<n:DestinationResponses>{responses}</n:DestinationResponses>"
        self._reply(asked, message, f"{WSE}/SubscribeResponse", (
            f"<e:SubscribeResponse><e:SubscriptionManager><a:Address>{self.scan_url}</a:Address><a:ReferenceParameters>"
            f"<e:Identifier>{identifier}</e:Identifier></a:ReferenceParameters></e:SubscriptionManager><e:Expires>"
            f"{self.expires}</e:Expires>{responses}</e:SubscribeResponse>"))

    def _manage(self, asked, message):
        operation = message.action.rpartition("/")[2]
        identifier = message.header.findtext(f"{{{WSE}}}Identifier")
        if identifier not in self.listeners:
            self._refuse(asked, message, Refusal(500, "Sender", "wse:InvalidMessage", "No such subscription."))
            return
        body = f"<e:RenewResponse><e:Expires>{self.expires}</e:Expires></e:RenewResponse>"
        if operation == "Unsubscribe":
            del self.listeners[identifier]
            body = ""
        self._reply(asked, message, f"{WSE}/{operation}Response", body)

    # Writing of messages.

    def _number(self, form):
        self._numbers += 1
        return form.format(self._numbers)

    def _write(self, action, body, *, relates_to=None, to=f"{WSA}/role/anonymous", message_id=True):
        style = self.style
        mine = style.prefixes
        declared = "".join(f' xmlns:{mine[letter]}="{uri}"' for letter, uri in URIS.items())
        declared += "".join(f' xmlns:{prefix}="urn:example:{prefix}"' for prefix in style.more)
        named = f"<a:MessageID>urn:uuid:{self._number('{}')}</a:MessageID>" if message_id else ""
        related = f"<a:RelatesTo>{relates_to}</a:RelatesTo>" if relates_to else ""
        text = (f"<s:Header>{named}{related}<a:To>{to}</a:To><a:Action>{action}</a:Action></s:Header><s:Body>{body}"
                "</s:Body></s:Envelope>")
        # A prefix follows the start of a tag, or begins a QName in text or in an attribute's value.
        text = re.sub(r"""(</?|["> ])([saenpmdxi]):(?=\w)""", lambda found: f"{found[1]}{mine[found[2]]}:", text)
        return f"{style.prolog}<{mine['s']}:Envelope{declared}>{text}".encode(style.encoding)

    def _reply(self, asked, message, action, body, status=200):
        self._send(asked, message.action.rpartition("/")[2], status, self._write(
            action, body, relates_to=message.message_id))

    def _refuse(self, asked, message, refusal):
        name = refusal.name if ":" in refusal.name else f"n:{refusal.name}"
        name = name.replace("wsa:", "a:").replace("wse:", "e:")
        body = self._write(f"{WSA}/fault", (
            f"<s:Fault><s:Code><s:Value>s:{refusal.code}</s:Value><s:Subcode><s:Value>{name}</s:Value></s:Subcode>"
            f'</s:Code><s:Reason><s:Text xml:lang="en">{refusal.reason}</s:Text></s:Reason></s:Fault>'),
            relates_to=message.message_id, message_id=self.style.has_fault_ids)

        def answer():
            self._send(asked, message.action.rpartition("/")[2], refusal.status, body)

        if refusal.late:
            self.late.append(answer)
        else:
            answer()

    def _send(self, asked, operation, status, body, content_type=None):
        content_type = content_type or f"application/soap+xml; charset={self.style.charset}"
        self.sent[operation] = body
        head = f"HTTP/1.1 {status} Answer\r\nServer: {self.style.name}/1.0\r\nContent-Type: {content_type}\r\n".encode()
        size = self.style.chunk
        if size:
            pieces = [body[at:at + size] for at in range(0, len(body), size)]
            asked.write(head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(
                b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n")
        else:
            asked.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
