"""The versions of WS-Discovery that are spoken: 2005/04, and the draft of 1.1 that Windows speaks.

WS-Discovery 2005/04; WS-Discovery 1.1 CD1 (2008/09, with WS-Addressing 2004/08).
"""

import attrs

from wsdgateway.soap.namespaces import WSD


@attrs.frozen
class Version:
    """A version, by the namespace of its elements and actions; the addressing of each is WS-Addressing 2004/08."""

    uri: str

    def action(self, name: str) -> str:
        """The action of a message."""
        return f"{self.uri}/{name}"

    def tag(self, name: str) -> str:
        """An element of its own, in lxml's notation."""
        return f"{{{self.uri}}}{name}"


WS_2005_04 = Version(WSD)
WS_2008_09 = Version("http://docs.oasis-open.org/ws-dd/ns/discovery/2008/09")
VERSIONS = (WS_2005_04, WS_2008_09)


def version_of(action: str) -> Version | None:
    """The version that an action belongs to."""
    uri = action.rpartition("/")[0]
    return next((version for version in VERSIONS if version.uri == uri), None)


def discovery_request(action: str) -> str | None:
    """`Probe` or `Resolve` where the action is one of these, in any version; else None."""
    name = action.rpartition("/")[2]
    return name if name in ("Probe", "Resolve") and version_of(action) is not None else None
