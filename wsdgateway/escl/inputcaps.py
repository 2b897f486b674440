"""The capabilities of one source: the sizes that it can scan, its settings and its intents.

eSCL, PlatenInputCaps, AdfSimplexInputCaps, AdfDuplexInputCaps.
"""

import attrs
from lxml import etree

from wsdgateway.escl.reading import count, descendant, texts
from wsdgateway.escl.settingprofile import SettingProfile, read_profiles, referred
from wsdgateway.escl.writing import element, group, listed


@attrs.frozen
class InputCaps:
    """The capabilities of a source. Lengths are in 1/300 inch, optical resolutions in dots per inch."""

    min_width: int
    max_width: int
    min_height: int
    max_height: int
    profiles: tuple[SettingProfile, ...]
    intents: tuple[str, ...] = ()
    optical: tuple[int, int] | None = None

    def write(self, name: str) -> str:
        """The element with that name, such as `scan:PlatenInputCaps`."""
        across, down = (None, None) if self.optical is None else self.optical
        return group(name, (
            element("scan:MinWidth", self.min_width) + element("scan:MaxWidth", self.max_width)
            + element("scan:MinHeight", self.min_height) + element("scan:MaxHeight", self.max_height)
            + element("scan:MaxXOffset", self.max_width - self.min_width)
            + element("scan:MaxYOffset", self.max_height - self.min_height)
            + element("scan:MaxPhysicalWidth", self.max_width) + element("scan:MaxPhysicalHeight", self.max_height)
            + element("scan:MaxScanRegions", 1)
            + group("scan:SettingProfiles", "".join(profile.write() for profile in self.profiles))
            + listed("scan:SupportedIntents", "scan:Intent", self.intents)
            + element("scan:MaxOpticalXResolution", across) + element("scan:MaxOpticalYResolution", down)))


def read_caps(caps: etree._Element | None, common: dict[str, SettingProfile]) -> InputCaps | None:
    """The capabilities in an element; None without a size.

    Older devices refer to profiles that all sources have in `common`, or have no profiles of their own.
    """
    widest, highest = count(caps, "MaxWidth"), count(caps, "MaxHeight")
    if caps is None or not widest or not highest:
        return None
    optical = count(caps, "MaxOpticalXResolution"), count(caps, "MaxOpticalYResolution")
    return InputCaps(
        count(caps, "MinWidth") or 1, widest, count(caps, "MinHeight") or 1, highest,
        read_profiles(caps) or referred(caps, common) or tuple(common.values()),
        texts(descendant(caps, "SupportedIntents"), "Intent", "SupportedIntent"),
        (optical[0], optical[1]) if optical[0] and optical[1] else None)
