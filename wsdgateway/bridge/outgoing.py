"""Writes clients' requests for their scanner, and decides which replies may be shared between clients.

WS-Addressing 2004/08, section 3; WS-Scan, CreateScanJobRequest for DestinationToken.
"""

from wsdgateway.bridge.cache.coalescing import is_usual
from wsdgateway.bridge.decisions import Question, Refuse
from wsdgateway.bridge.events.subscriptions import Subscriptions
from wsdgateway.bridge.rewriting import contradiction, names_gateway, rewrite_request
from wsdgateway.discovery.identity import is_same
from wsdgateway.scan.destinations import token_of
from wsdgateway.scan.operations import CREATE_SCAN_JOB
from wsdgateway.soap.faults import temporary_error

_NOT_ON_PANEL_YET = temporary_error(
    "The scanner is just being told of this destination; try again in a second.")


class Outgoing:
    """Writes the requests to one scanner. `authorities` are the gateway's own.

    `off_panel` names the subscriptions that the scanner does not hold at the moment: a job for one of these would have
    a DestinationToken that the scanner does not know. `endpoints` are the stand-in's endpoint address and the device's
    own (None if it does not provide one), None until they are known.
    """

    def __init__(self, scanner: str, authorities: frozenset[str], subscriptions: Subscriptions,
                 off_panel: set[str]) -> None:
        self._scanner = scanner
        self._authorities = authorities
        self._subscriptions = subscriptions
        self._off_panel = off_panel
        self.endpoints: tuple[str, str | None] | None = None

    def write(self, question: Question, device: str) -> bytes | Refuse:
        """Write the request for the device at that address, or its refusal."""
        token = contradiction(question.envelope) or self._token(question)
        if isinstance(token, Refuse):
            return token
        return rewrite_request(question.envelope, question.raw, scanner=self._scanner, hosts=self._hosts(question),
                               device=device, endpoints=self.endpoints, token=token)

    def accepts_shared(self, question: Question) -> bool:
        """Return whether another client's answer can serve this request: it is usual, and sent to the gateway."""
        to = question.envelope.to or ""
        return is_usual(question.envelope, question.fields) and (
            names_gateway(to, self._scanner, self._hosts(question))
            or (self.endpoints is not None and is_same(to, self.endpoints[0])))

    def may_share(self, question: Question) -> bool:
        """Return whether the scanner's answer to this request can serve all clients with the same question.

        Without a MessageID, which WS-Addressing requires of every request, the answer may be a fault.
        """
        return question.envelope.message_id is not None and self.accepts_shared(question)

    def _hosts(self, question: Question) -> frozenset[str]:
        """The authorities under which this client knows the gateway."""
        host = question.host.decode("latin-1").lower()
        return self._authorities | {host} if host else self._authorities

    def _token(self, question: Question) -> str | Refuse | None:
        """The scanner's current DestinationToken for the client's, if it has changed; None to leave it unchanged."""
        # The gateway's own requests have no client, and the scanner's tokens.
        is_mapped = question.operation is CREATE_SCAN_JOB and question.client != ""
        given = token_of(question.envelope.body) if is_mapped else None
        found = self._subscriptions.token(given) if given is not None else None
        if found is None:
            return None
        subscription, token = found
        if subscription.identifier in self._off_panel:
            return Refuse(_NOT_ON_PANEL_YET)
        return token.current if token.current != given else None
