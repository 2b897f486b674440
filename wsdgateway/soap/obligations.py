"""Checks the headers that the receiver must understand, and makes the fault for those that the gateway does not.

SOAP 1.2 part 1, sections 2.2 (roles), 2.4 and 5.4.8. They bind the receiver that answers a message; for a message that
is forwarded to a scanner, the scanner decides.
"""

from wsdgateway.soap.envelope import Envelope, is_obligatory
from wsdgateway.soap.faults import Fault
from wsdgateway.soap.namespaces import SOAP, WSA, WSA_2005_08, WSD, WSD_1_1, WSD_CD1, WSE
from wsdgateway.soap.parsing import escape

MAX_NAMED = 16  # headers that a fault names, with names of at most the following length
MAX_NAME = 1024

_ROLE = f"{{{SOAP}}}role"
# The roles of the answering node and of the next node: the gateway is both.
_OUR_ROLES = frozenset(("", f"{SOAP}/role/next", f"{SOAP}/role/ultimateReceiver"))
_ADDRESSING = ("To", "From", "ReplyTo", "FaultTo", "Action", "MessageID", "RelatesTo")
_UNDERSTOOD = frozenset((
    *(f"{{{uri}}}{name}" for uri in (WSA, WSA_2005_08) for name in _ADDRESSING),
    *(f"{{{uri}}}AppSequence" for uri in (WSD, WSD_CD1, WSD_1_1)),
    f"{{{WSE}}}Identifier"))


def not_understood(envelope: Envelope) -> Fault | None:
    """The fault for a message that the gateway answers itself if it does not understand a mandatory header; else None.

    SOAP 1.2 part 2, table 20: it is sent with status 500.
    """
    if not envelope.obliges or envelope.header is None:
        return None
    tags = [str(header.tag) for header in envelope.header.iterchildren("*")
            if header.tag not in _UNDERSTOOD and is_obligatory(header)
            and header.get(_ROLE, "").strip() in _OUR_ROLES]
    if not tags:
        return None
    named = [tag for tag in dict.fromkeys(tags) if len(tag) <= MAX_NAME][:MAX_NAMED]
    return Fault("MustUnderstand", "", (
        f"The header {tags[0][:200]} is marked mustUnderstand, but not supported; send the message without it, or "
        "without the mark."), headers="".join(map(_named, named)))


def _named(tag: str) -> str:
    """The header of the fault that names a header.

    Its prefix is declared there, since the text of an attribute uses it.
    """
    uri, _, local = tag.removeprefix("{").rpartition("}")
    if not uri:
        return f'<soap:NotUnderstood qname="{local}"/>'
    return f'<soap:NotUnderstood xmlns:h="{escape(uri)}" qname="h:{local}"/>'
