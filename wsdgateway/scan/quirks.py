"""Quirks of scanners: what the gateway tolerates of one scanner that is configured so, and of every scanner.

`Quirks` has a field for each tolerance that is switched on per scanner, by `lenient` in its `[[scanner]]` section. A
new one is a field here, a key of that section, and its consumer.

What is tolerated of every scanner, since it harms nobody, and where:

- a blank before the colon of a header field: `wsdgateway.http.heads.Heads`
- a body after status 204 or 304: `wsdgateway.http.responses.ResponseReader`
- a fault with status 200: `wsdgateway.net.scanners.reply.outcome_of`
- a web page, with the document type declaration of HTML, instead of SOAP: `wsdgateway.net.scanners.replywatch.HTML`
- an image with whatever media type that is not one of text or XML: `wsdgateway.net.scanners.reply.is_streamed`
- notifications with media types of XML, or with none: `wsdgateway.net.events.eventsink.EventSink`
- a refused second connection, or one that is closed at once: `wsdgateway.net.scanners.capacity.Capacity`
- addresses that nobody can reach, in metadata and grants: `wsdgateway.net.scanners.address.reachable`
- another spelling of its own uuid: `wsdgateway.discovery.identity.is_same`
- subscription managers that cannot be asked: `wsdgateway.net.events.eventingclient.managed_at`
- events in another shape, under another action, or in the namespace of the specification's pages:
  `wsdgateway.scan.events.read_job_event`
- types with undeclared prefixes in announcements: `wsdgateway.discovery.messages.read_message`
- blanks, byte order marks and comments around an envelope: `wsdgateway.soap.encodings.bare`
"""

import attrs


@attrs.frozen
class Quirks:
    """The tolerances that are switched on for one scanner.

    `loose_framing`: HTTP/1.1 answers that a strict reader refuses, as old and small servers send them: lines that end
    with LF or CR alone; white space around chunk sizes; several equal Content-Length fields, and the transfer coding
    `identity` of RFC 2616; a last chunk without its final line break, with the connection left open; control
    characters in fields; another version of HTTP. It is off for other scanners because what two readers frame in two
    ways can hide a second answer.

    `unannounced_end`: TLS connections that end without close_notify. It is off for other scanners because whoever
    stands in between could have cut the answer off (RFC 9112, section 9.8).
    """

    loose_framing: bool = False
    unannounced_end: bool = False


STRICT = Quirks()
LENIENT = Quirks(loose_framing=True, unannounced_end=True)
