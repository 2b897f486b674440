"""Makes the options of a scanner for tests from configuration keys of any section."""

import attrs

from wsdgateway.config.sections import Cache, Events, ScannerConfig
from wsdgateway.net.scanners.options import ScannerOptions

_SECTIONS = {"section": ScannerConfig, "cache": Cache, "events": Events}


def scanner_options(name="front-desk", **keys):
    """Returns default options, changed by keys of [[scanner]], [cache] or [events] or by attributes of
    `ScannerOptions`.
    """
    given = {place: {key: keys.pop(key) for key in attrs.fields_dict(section) if key in keys}
             for place, section in _SECTIONS.items()}
    return ScannerOptions(ScannerConfig(name, **given["section"]), Cache(**given["cache"]), Events(**given["events"]),
                          **keys)
