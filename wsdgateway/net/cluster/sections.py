"""Compares the configuration files of all gateways: the sections of scanners, and the lease."""

from twisted.logger import Logger

from wsdgateway.bridge.cluster.values import Registration, View


class SectionComparison:
    """Complains of each difference to the configuration of another gateway, once until they are equal again.

    `differences` has a sentence for each.
    """

    log = Logger()

    def __init__(self) -> None:
        self.differences: tuple[str, ...] = ()

    def compare(self, own: Registration, view: View) -> None:
        """Compare what is in the registrations."""
        found = tuple(difference for other in sorted(view.gateways, key=lambda one: one.name)
                      if other.identifier != own.identifier for difference in _differences(own, other))
        for difference in found:
            if difference not in self.differences:
                self.log.warn("{difference}", difference=difference)
        self.differences = found


def _differences(own: Registration, other: Registration) -> list[str]:
    found = [f"{scanner}: its section in the configuration differs between the gateways {own.name} and {other.name}; "
             "that of the scanner's owner counts. Make them equal"
             for scanner, digest in sorted(own.sections.items()) if other.sections.get(scanner, digest) != digest]
    if own.lease and other.lease and own.lease != other.lease:
        found.append(f"[cluster] lease: must be the same at all gateways, but is {own.lease:g} at {own.name} and "
                     f"{other.lease:g} at {other.name}")
    return found
