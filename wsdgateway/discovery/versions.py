"""The supported versions of WS-Discovery: 2005/04, the final 1.1, and the draft of 1.1 that Windows uses.

WS-Discovery 2005/04; WS-Discovery 1.1 (2009/01, with WS-Addressing 2005/08) and its CD1 (2008/09, with WS-Addressing
2004/08).
"""

import attrs

from wsdgateway.soap.namespaces import WSA, WSA_2005_08, WSD, WSD_1_1, WSD_CD1

NAMES = ("Hello", "Bye", "Probe", "ProbeMatches", "Resolve", "ResolveMatches")


@attrs.frozen
class Version:
    """A version of WS-Discovery.

    `uri` is the namespace of its elements and actions, `addressing` that of its addressing headers, and `everybody` the
    address of multicast messages.
    """

    uri: str
    addressing: str
    everybody: str

    def action(self, name: str) -> str:
        """Returns the action of a message."""
        return f"{self.uri}/{name}"

    def tag(self, name: str) -> str:
        """Returns the name of an element of this version in lxml's notation."""
        return f"{{{self.uri}}}{name}"


WS_2005_04 = Version(WSD, WSA, "urn:schemas-xmlsoap-org:ws:2005:04:discovery")
WS_2008_09 = Version(WSD_CD1, WSA, "urn:docs-oasis-open-org:ws-dd:ns:discovery:2008:09")
WS_2009_01 = Version(WSD_1_1, WSA_2005_08, "urn:docs-oasis-open-org:ws-dd:ns:discovery:2009:01")
VERSIONS = (WS_2005_04, WS_2008_09, WS_2009_01)


def version_of(action: str) -> Version | None:
    """Returns the version that an action belongs to."""
    uri = action.rpartition("/")[0]
    return next((version for version in VERSIONS if version.uri == uri), None)


def name_of(action: str) -> str | None:
    """Returns the name of the discovery message with this action, such as `Probe`; None for other actions."""
    name = action.rpartition("/")[2]
    return name if name in NAMES and version_of(action) is not None else None


def discovery_request(action: str) -> str | None:
    """Returns `Probe` or `Resolve` if the action is one of these in any version, otherwise None."""
    name = name_of(action)
    return name if name in ("Probe", "Resolve") else None
