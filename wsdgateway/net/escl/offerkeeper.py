"""Keeps what one eSCL scanner offers in the store, and offers it after a restart until the scanner is read again."""

from collections.abc import Callable

from twisted.logger import Logger

from wsdgateway.bridge.frontends.escl.keptoffer import MAX_ELEMENTS, KeptOffer
from wsdgateway.metadata.messages import Labels
from wsdgateway.net.escl.offer import OfferReader, read_offer
from wsdgateway.storage.failedwrites import log_failed_write
from wsdgateway.storage.store import IStore


class OfferKeeper:
    """Keeps the offer of one scanner, whose address in the configuration is `place`.

    `kept` holds the offers of all scanners by name, as in the store. `own_endpoint` and `own_labels` are what is known
    of the scanner itself since the start; `is_decided` is true if it is there, or has left. `look` must be called when
    they, or its offer, have changed. `is_expected` is true for a scanner with an offer from before the start, until it
    is decided whether it is there.
    """

    log = Logger()

    def __init__(self, name: str, place: str, kept: dict[str, KeptOffer], store: IStore, offers: OfferReader,
                 own_endpoint: Callable[[], str | None], own_labels: Callable[[], Labels],
                 is_decided: Callable[[], bool]) -> None:
        self._name = name
        self._place = place
        self._kept = kept
        self._store = store
        self._offers = offers
        self._own_endpoint = own_endpoint
        self._own_labels = own_labels
        self._is_decided = is_decided
        self._is_restored = False
        self.is_expected = False

    def restore(self) -> None:
        """Use the stored offer, unless the scanner has another address in the configuration now."""
        one = self._kept.get(self._name)
        if one is None or self._offers.last is not None:
            return
        offer = None if one.place != self._place else read_offer(one.elements)
        if offer is None:
            self._forget()
        else:
            self._is_restored = True
            self.is_expected = not self._is_decided()
            self._offers.restore(offer)

    @property
    def endpoint(self) -> str | None:
        """The identifier of the scanner, or the one from before the start; None if neither is known."""
        own, one = self._own_endpoint(), self._kept.get(self._name)
        return own if own is not None or one is None or not self._is_restored else one.endpoint

    @property
    def labels(self) -> Labels:
        """The scanner's names, or those from before the start."""
        own, one = self._own_labels(), self._kept.get(self._name)
        return own if own != Labels() or one is None or not self._is_restored else one.labels

    def look(self) -> None:
        """Store a new offer, and forget that of another scanner."""
        self.is_expected = self.is_expected and not self._is_decided()
        endpoint, labels, elements = self._own_endpoint(), self._own_labels(), self._offers.elements
        one = self._kept.get(self._name)
        if not elements:  # nothing was read since the start
            if one is not None and one.is_of_another(endpoint, labels):
                self._forget()
                self._offers.forget()
            return
        if endpoint is None or len(elements) > MAX_ELEMENTS:
            return
        new = KeptOffer(self._name, self._place, endpoint, labels, elements)
        if new != one:
            self._kept[self._name] = new
            keeping = self._store.keep_escl_offer(new)
            keeping.addErrback(lambda failure: log_failed_write(
                self.log, failure, "{scanner}: storing what it offers by eSCL failed", scanner=self._name))

    def _forget(self) -> None:
        self._is_restored = self.is_expected = False
        self._kept.pop(self._name, None)
        forgetting = self._store.forget_escl_offer(self._name)
        forgetting.addErrback(lambda failure: log_failed_write(
            self.log, failure, "{scanner}: deleting what it offered by eSCL failed", scanner=self._name))
