"""The spelling of a scanner's endpoint address; discovery announcements take precedence over metadata::

    given, or unknown ──read in its metadata──► read ──announced──► announced
             └──────────────────announced───────────────────────────────▲

Some scanners spell it in two ways, and expect it back as they announce it.
"""

from wsdgateway.discovery.identity import is_same


class EndpointName:
    """The endpoint address of one scanner; `endpoint` is None while it is unknown."""

    def __init__(self, given: str | None) -> None:
        self.endpoint = given
        self._is_announced = False

    def announced(self, endpoint: str) -> bool:
        """Takes the spelling from an announcement, or from an answer in discovery; returns True if it has changed."""
        if self.endpoint is None or not is_same(self.endpoint, endpoint):
            return False
        self._is_announced = True
        is_other = self.endpoint != endpoint
        self.endpoint = endpoint
        return is_other

    def read_in_metadata(self, endpoint: str | None) -> None:
        """Takes the spelling from the scanner's metadata, if there is one, and none from discovery."""
        if endpoint is not None and (self.endpoint is None or (
                is_same(self.endpoint, endpoint) and not self._is_announced)):
            self.endpoint = endpoint
