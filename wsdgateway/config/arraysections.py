"""Labels of sections in arrays, for messages: `[[scanner]] front-desk`, `[[destination]] "Mail"`, `[[listen]] 2`."""

from wsdgateway.bridge.discovery.adoption import NAME
from wsdgateway.config.destinationchecks import is_panel_name
from wsdgateway.config.wrong import Section


def array_section(array: str, position: int, name: object = None) -> Section:
    """A section of an array, named by its `name` or, without a valid one, by its position, counted from 1.

    The name of a destination is quoted, because it may contain blanks.
    """
    label = str(position + 1)
    if array == "destination":
        label = f'"{name}"' if is_panel_name(name) else label
    elif isinstance(name, str) and NAME.fullmatch(name):
        label = name
    return Section(f"[[{array}]] {label}", (array, position))
