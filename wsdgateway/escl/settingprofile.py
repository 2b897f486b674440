"""The combination of settings that a source supports: colour modes, content types, formats and resolutions.

eSCL, SettingProfile, DiscreteResolution.
"""

import attrs
from lxml import etree

from wsdgateway.escl.reading import children, count, descendant, texts
from wsdgateway.escl.writing import element, group, listed


@attrs.frozen
class SettingProfile:
    """The settings that a source supports together. `formats` are media types, `resolutions` pairs in dots per inch."""

    color_modes: tuple[str, ...] = ()
    content_types: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    resolutions: tuple[tuple[int, int], ...] = ()
    color_spaces: tuple[str, ...] = ()

    def write(self) -> str:
        """The SettingProfile element.

        The formats are written as DocumentFormat and as DocumentFormatExt, since clients read one or the other.
        """
        formats = "".join(element(name, media) for name in ("pwg:DocumentFormat", "scan:DocumentFormatExt")
                          for media in self.formats)
        dots = "".join(group("scan:DiscreteResolution", element("scan:XResolution", across)
                             + element("scan:YResolution", down)) for across, down in self.resolutions)
        return group("scan:SettingProfile", (
            listed("scan:ColorModes", "scan:ColorMode", self.color_modes)
            + listed("scan:ContentTypes", "pwg:ContentType", self.content_types)
            + group("scan:DocumentFormats", formats)
            + group("scan:SupportedResolutions", group("scan:DiscreteResolutions", dots))
            + listed("scan:ColorSpaces", "scan:ColorSpace", self.color_spaces)))


def read_profiles(holder: etree._Element | None) -> tuple[SettingProfile, ...]:
    """The profiles in the SettingProfiles of an element; those that only refer to another are left out."""
    found = descendant(holder, "SettingProfiles")
    profiles = () if found is None else (_read(one) for one in children(found, "SettingProfile"))
    return tuple(profile for profile in profiles if profile != SettingProfile())


def _read(profile: etree._Element) -> SettingProfile:
    dots = descendant(profile, "SupportedResolutions", "DiscreteResolutions")
    pairs = () if dots is None else (
        (count(one, "XResolution"), count(one, "YResolution")) for one in children(dots, "DiscreteResolution"))
    return SettingProfile(
        texts(descendant(profile, "ColorModes"), "ColorMode"),
        texts(descendant(profile, "ContentTypes"), "ContentType"),
        texts(descendant(profile, "DocumentFormats"), "DocumentFormatExt", "DocumentFormat"),
        tuple((across, down) for across, down in pairs if across and down),
        texts(descendant(profile, "ColorSpaces"), "ColorSpace"))


def referred(holder: etree._Element, common: dict[str, SettingProfile]) -> tuple[SettingProfile, ...]:
    """The common profiles, by their names, that the SettingProfiles of an element refer to."""
    found = descendant(holder, "SettingProfiles")
    names = [] if found is None else [one.get("ref", "") for one in children(found, "SettingProfile")]
    return tuple(common[name] for name in names if name in common)


def named_profiles(root: etree._Element) -> dict[str, SettingProfile]:
    """The common profiles of a document, by their names."""
    found = descendant(root, "SettingProfiles")
    named = () if found is None else ((one.get("name", ""), _read(one)) for one in children(found, "SettingProfile"))
    return {name: profile for name, profile in named if profile != SettingProfile()}
