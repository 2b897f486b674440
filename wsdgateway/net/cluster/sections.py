"""Compares the sections of scanners in the configuration files of all gateways."""

from twisted.logger import Logger

from wsdgateway.bridge.cluster.values import Registration, View


class SectionComparison:
    """Complains of each scanner whose section differs at another gateway, once until it is equal again.

    `differing` has the pairs of scanner and name of the other gateway.
    """

    log = Logger()

    def __init__(self) -> None:
        self.differing: frozenset[tuple[str, str]] = frozenset()

    def compare(self, own: Registration, view: View) -> None:
        """Compare the digests in the registrations."""
        differing = frozenset(
            (scanner, other.name) for other in view.gateways if other.identifier != own.identifier
            for scanner, digest in own.sections.items() if other.sections.get(scanner, digest) != digest)
        for scanner, name in sorted(differing - self.differing):
            self.log.warn("{scanner}: its section in the configuration differs between the gateways {own} and {other}; "
                          "that of the scanner's owner counts. Make them equal", scanner=scanner, own=own.name,
                          other=name)
        self.differing = differing
