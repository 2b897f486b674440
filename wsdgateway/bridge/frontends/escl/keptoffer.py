"""The offer of an eSCL scanner when it was last read, kept over restarts, so that it is offered while it is off.

WS-Scan, GetScannerElements; WS-Devices, ThisModel and ThisDevice.
"""

import attrs

from wsdgateway.metadata.messages import Labels

MAX_ELEMENTS = 256 * 1024  # characters; a larger answer is not kept
MAX_KEPT = 1000  # scanners; the oldest are deleted first


@attrs.frozen
class KeptOffer:
    """The last answer of one scanner about its elements, and what identifies the scanner that has given it.

    `scanner` is its name, `place` its address in the configuration, `endpoint` what the uuid of the eSCL scanner is
    made from. `elements` is the GetScannerElementsResponse, as XML.
    """

    scanner: str
    place: str
    endpoint: str
    labels: Labels
    elements: str

    def is_of_another(self, endpoint: str | None, labels: Labels) -> bool:
        """True if a scanner with this endpoint and these names is another one, or has other firmware."""
        if endpoint is not None and endpoint != self.endpoint:
            return True
        return bool(labels.model and self.labels.model) and _model(labels) != _model(self.labels)


def _model(labels: Labels) -> tuple[str, str, str]:
    return labels.manufacturer, labels.model, labels.firmware
