"""The icon of every eSCL scanner: a drawing of the gateway's own, since WSD scanners have none.

macOS shows only PNG whose sides are powers of two, with alpha.
"""

from functools import cache
from importlib.resources import files


@cache
def icon() -> bytes:
    """The icon, a PNG of 128 x 128 pixels."""
    return files("wsdgateway.net.escl").joinpath("icon.png").read_bytes()
