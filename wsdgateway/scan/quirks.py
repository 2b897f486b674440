"""Quirks of scanners: deviations that the gateway tolerates from one scanner if configured, and from every scanner.

`Quirks` has a field for each tolerance that is switched on per scanner, by `lenient` in its `[[scanner]]` section. A
new one needs a field here, a key of that section, and the code that uses it.

Deviations that are tolerated from every scanner because they are harmless, and the code that does so:

- a blank before the colon of a header field: `wsdgateway.http.heads.Heads`
- a body after status 204 or 304: `wsdgateway.http.responses.ResponseReader`
- a fault with status 200: `wsdgateway.net.scanners.reply.outcome_of`
- a web page, with the document type declaration of HTML, instead of SOAP: `wsdgateway.net.scanners.replywatch.HTML`
- an image with any media type that is not text or XML: `wsdgateway.net.scanners.reply.is_streamed`
- notifications with XML media types, or with none: `wsdgateway.net.events.eventsink.EventSink`
- a refused second connection, or one that is closed at once: `wsdgateway.net.scanners.capacity.Capacity`
- unreachable addresses in metadata and grants: `wsdgateway.net.scanners.address.reachable`
- another spelling of its own uuid: `wsdgateway.discovery.identity.is_same`
- subscription managers that cannot be reached: `wsdgateway.net.events.eventingclient.managed_at`
- events in another shape, under another action, or in the namespace of the specification's web pages:
  `wsdgateway.scan.events.read_job_event`
- types with undeclared prefixes in announcements: `wsdgateway.discovery.messages.read_message`
- the type of a scan service with an undeclared prefix in metadata: `wsdgateway.metadata.messages.offers`
- sizes with width and height exchanged: `wsdgateway.scan.scannerconfiguration.read_configuration`
- a job that is not found after its last page: `wsdgateway.bridge.frontends.escl.faults.page_outcome`
- answers with undeclared prefixes, with text in another encoding, or not escaped: `wsdgateway.soap.encodings.mended`
- blanks, byte order marks and comments around an envelope: `wsdgateway.soap.encodings.bare`
"""

import attrs

SOME_IMAGES = 100  # ImagesToTransfer for scanners that refuse 0, the specification's "all"
_ALL_IMAGES = {"ricoh": SOME_IMAGES}


def images_for_all(manufacturer: str) -> int:
    """The ImagesToTransfer for all pages of the feeder, for a scanner by its ThisModel/Manufacturer."""
    name = manufacturer.strip().lower().partition(" ")[0]
    return _ALL_IMAGES.get(name, 0)


@attrs.frozen
class Quirks:
    """The tolerances that are switched on for one scanner.

    `loose_framing`: HTTP/1.1 answers of old and small servers that a strict parser refuses: lines that end with LF or
    CR alone; white space around chunk sizes; several equal Content-Length fields, and the transfer coding `identity` of
    RFC 2616; a last chunk without its final line break, with the connection left open; control characters in fields;
    another version of HTTP. It is off for other scanners because a second answer can be hidden in data that two parsers
    frame differently.

    `unannounced_end`: TLS connections that end without close_notify. It is off for other scanners because an attacker
    on the path could have truncated the answer (RFC 9112, section 9.8).
    """

    loose_framing: bool = False
    unannounced_end: bool = False


STRICT = Quirks()
LENIENT = Quirks(loose_framing=True, unannounced_end=True)
