"""How a scanner spells its endpoint address. What it announces in discovery counts for more than its metadata::

    given, or unknown ──read in its metadata──► read ──announced──► announced
             └──────────────────announced───────────────────────────────▲

Some scanners spell it in two ways, and expect it back as they announce it.
"""

from wsdgateway.discovery.identity import is_same


class EndpointName:
    """The endpoint address of one scanner; `endpoint` is None while it is not known."""

    def __init__(self, given: str | None) -> None:
        self.endpoint = given
        self._is_announced = False

    def announced(self, endpoint: str) -> bool:
        """Take the spelling of an announcement, or of an answer in discovery; whether it is another one than before."""
        if self.endpoint is None or not is_same(self.endpoint, endpoint):
            return False
        self._is_announced = True
        is_other = self.endpoint != endpoint
        self.endpoint = endpoint
        return is_other

    def read_in_metadata(self, endpoint: str | None) -> None:
        """Take the spelling of the scanner's metadata, if it has one, and as long as discovery has not told any."""
        if endpoint is not None and (self.endpoint is None or (
                is_same(self.endpoint, endpoint) and not self._is_announced)):
            self.endpoint = endpoint
