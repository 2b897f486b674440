"""Headers that must be understood: whether we do, and the fault for those that we don't.

SOAP 1.2 part 1, sections 2.2 (roles), 2.4 and 5.4.8. They bind whoever answers a message; of one that goes on to a
scanner the scanner is the judge.
"""

from wsdgateway.soap.envelope import Envelope, is_obligatory
from wsdgateway.soap.faults import Fault
from wsdgateway.soap.namespaces import SOAP, WSA, WSA_2005_08, WSD, WSD_1_1, WSD_CD1, WSE
from wsdgateway.soap.parsing import escape

MAX_NAMED = 16  # headers that a fault names, of names no longer than
MAX_NAME = 1024

_ROLE = f"{{{SOAP}}}role"
# Without a role a header is for whoever answers; so is one for the next node, which we are, too.
_OUR_ROLES = frozenset(("", f"{SOAP}/role/next", f"{SOAP}/role/ultimateReceiver"))
_ADDRESSING = ("To", "From", "ReplyTo", "FaultTo", "Action", "MessageID", "RelatesTo")
_UNDERSTOOD = frozenset((
    *(f"{{{uri}}}{name}" for uri in (WSA, WSA_2005_08) for name in _ADDRESSING),
    *(f"{{{uri}}}AppSequence" for uri in (WSD, WSD_CD1, WSD_1_1)),
    f"{{{WSE}}}Identifier"))


def not_understood(envelope: Envelope) -> Fault | None:
    """The fault for a message that is ours to answer and holds obligations that we can't meet; None if it holds none.

    SOAP 1.2 part 2, table 20: it travels with status 500.
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
        f"The header {tags[0][:200]} is marked mustUnderstand and is not understood here; send the message without it, "
        "or without the mark."), headers="".join(map(_named, named)))


def _named(tag: str) -> str:
    """The header of the fault that names one; its prefix is declared there, since the text of an attribute uses it."""
    uri, _, local = tag.removeprefix("{").rpartition("}")
    if not uri:
        return f'<soap:NotUnderstood qname="{local}"/>'
    return f'<soap:NotUnderstood xmlns:h="{escape(uri)}" qname="h:{local}"/>'
