"""The styles in which devices of several makers write messages and refuse requests: data for `fielddevices`.

The wording of messages is our own; UUIDs and names are made up. The properties of each style:

- `BROTHER`: endpoint `uuid:` without `urn:`, no events, HTTP 400 ClientErrorJobIdNotFound at the end of the feeder,
  HTTP 500 ServerErrorNotAcceptingJobs, after a delay, for an empty feeder; faults without MessageID.
- `KYOCERA`: 46 namespace prefixes on every envelope, prefixes of its own, chunks of 512 bytes, no Host in its
  Relationship, a second, link-local address for each hosted service.
- `SAMSUNG`: the first address of its scan service is unreachable, subscriptions are managed at the scan address,
  subscription identifiers begin with `uuid:`, a fault's name is misspelt.
- `EPSON`: refuses envelopes with three or more unused namespace declarations; no blanks in the headers of MIME parts.
"""

import attrs

from wsdgateway.soap.namespaces import PNPX, SOAP, WSA, WSCN, WSD, WSDP, WSE, WSX, XOP

UUID = "00000000-0000-4000-8000-0000000000f1"
LINK_LOCAL = "http://[fe80::200:5eff:fe00:5301]:5358"
NOWHERE = "127.0.0.99"  # nothing listens there
USUAL = {"s": "soap", "a": "wsa", "e": "wse", "n": "wscn", "p": "wsdp", "m": "wsx", "d": "wsd", "x": "xop",
         "i": "pnpx"}
URIS = {"s": SOAP, "a": WSA, "e": WSE, "n": WSCN, "p": WSDP, "m": WSX, "d": WSD, "x": XOP, "i": PNPX}


@attrs.frozen
class Refusal:
    """A fault with its HTTP status. If `late` is true, the device delays the answer until the test releases it."""

    status: int
    code: str
    name: str
    reason: str
    late: bool = False


@attrs.frozen
class Style:
    """The style of a device's messages.

    `prefixes` maps our letters to the device's own prefixes; `more` lists further prefixes that it always declares.
    """

    name: str
    device_path: str
    scan_path: str
    endpoint: str = f"urn:uuid:{UUID}"
    prolog: str = '<?xml version="1.0" encoding="UTF-8"?>\n'
    encoding: str = "utf-8"  # of its messages
    charset: str = "utf-8"  # that it names in Content-Type
    prefixes: dict[str, str] = USUAL
    more: tuple[str, ...] = ()
    hosted: tuple[str, ...] = ("{base}",)  # addresses of each hosted service
    has_host: bool = True
    serial: str = "S1"
    is_eventful: bool = True
    has_fault_ids: bool = True  # whether its faults have a MessageID
    identifier: str = "urn:uuid:00000000-0000-4000-8000-{:012d}"
    token: str = "Client_{:013d}"
    chunk: int = 0  # bytes; 0: Content-Length
    blank: str = " "  # after the colon of a MIME part's header
    at_most_unused: int = 1000
    no_images: Refusal = Refusal(400, "Sender", "ClientErrorNoImagesAvailable", "No images.")
    empty: Refusal = Refusal(400, "Sender", "ClientErrorNoImagesAvailable", "No paper.")
    bad_token: Refusal = Refusal(400, "Sender", "ClientErrorInvalidDestinationToken", "Not a token of mine.")
    unknown: Refusal = Refusal(500, "Sender", "wsa:ActionNotSupported", "Not done here.")


BROTHER = Style(
    "brother", "/WebServices/Device", "/WebServices/ScannerService", f"uuid:{UUID}",
    prefixes={**USUAL, "s": "SOAP-ENV"}, is_eventful=False, has_fault_ids=False,
    no_images=Refusal(400, "Sender", "ClientErrorJobIdNotFound", "There is no such JobId."),
    empty=Refusal(500, "Receiver", "ServerErrorNotAcceptingJobs", "Blocked for the moment.", late=True))
KYOCERA = Style(
    "kyocera", f"/{UUID}", "/WSDScanner", prolog='<?xml version="1.0"?>\n',
    prefixes={"s": "SOAP-ENV", "a": "addressing", "e": "eventing", "n": "scan", "p": "devprof", "m": "metadata",
              "d": "discovery", "x": "xop", "i": "pnpx"},
    more=tuple(f"km{number}" for number in range(37)), hosted=("{base}", LINK_LOCAL), has_host=False, chunk=512,
    no_images=Refusal(500, "Sender", "ClientErrorNoImagesAvailable", "No images."))
SAMSUNG = Style(
    "samsung", "/wsd", "/wsd/scan", prefixes={**USUAL, "s": "SOAP-ENV"}, more=("SOAP-ENC", "xsi", "xsd"),
    hosted=(NOWHERE, "{base}"), identifier="uuid:00000000-0000-4000-8000-{:012d}",
    bad_token=Refusal(400, "Sender", "ClientErrorInvalidDetinationToken", "Not a token of mine."))
EPSON = Style(
    "epson", "/StableWSDiscoveryEndpoint/schemas-xmlsoap-org_ws_2005_04_discovery", "/WDP/SCAN", chunk=1460, blank="",
    at_most_unused=2, no_images=Refusal(500, "Sender", "ClientErrorNoImagesAvailable", "No images."))
STYLES = (BROTHER, KYOCERA, SAMSUNG, EPSON)
