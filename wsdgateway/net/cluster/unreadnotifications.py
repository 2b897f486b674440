"""Tells the owner of a scanner of its notifications that broke off, or were refused before they were complete."""

from wsdgateway.net.cluster.linkheads import unread_head
from wsdgateway.net.cluster.passedrequest import EVENTS
from wsdgateway.net.cluster.passingcontext import PassingContext

MAX_UNREAD = 20  # messages of one scanner on their way


class UnreadNotifications:
    """Tells the owner of one scanner of its unread notifications."""

    def __init__(self, scanner: str, context: PassingContext) -> None:
        self._scanner = scanner
        self._context = context
        self._on_their_way = 0

    def tell(self, rest: bytes, client: str) -> None:
        """Tell the owner of a notification of the host `client`; `rest` is its path below the resource."""
        context = self._context
        owner = context.owners.find(self._scanner)
        if owner is None or owner.identifier == context.identifier or not owner.address or (
                self._on_their_way >= MAX_UNREAD):
            return
        self._on_their_way += 1
        head = unread_head(client, owner.address, context.link.secret(), context.name, self._scanner, EVENTS, rest)
        context.link.call(owner, head, b"", lambda: None).answered.addBoth(self._told)

    def _told(self, result: object) -> None:
        self._on_their_way -= 1
