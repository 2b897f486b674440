"""Writes an element of one message as text for another, with only the namespace declarations that it needs.

Namespaces in XML 1.0, sections 5 and 6. Some scanners refuse messages with unused prefix declarations, and others
declare dozens of prefixes in every message. A declaration is kept if an element's or attribute's name uses its prefix,
or if the prefix occurs before a colon in text or an attribute's value, which may be a QName.
"""

import re
from copy import deepcopy

from lxml import etree

from wsdgateway.soap.parsing import escape

_PREFIX = re.compile(r"([^\W\d][\w.-]*):")
_START = re.compile(r"<[^\s/>]+")
_DECLARATION = re.compile(r'\sxmlns(?::[\w.-]+)?="[^"]*"')


def write_fragment(element: etree._Element, *, defaults: bool = False) -> str:
    """The element as text that can be inserted anywhere in another document.

    With `defaults`, the default namespace in scope is kept even if no name uses it, since the element contains QNames
    that may have no prefix.
    """
    copy = deepcopy(element)  # which declares the namespaces of its names, and those declared inside
    copy.tail = None
    mentioned: set[str] = set()
    is_bare = has_default = False  # whether there are names without namespace, and names in a default namespace
    for inside in copy.iter(etree.Element):
        has_namespace = str(inside.tag).startswith("{")
        is_bare = is_bare or not has_namespace
        has_default = has_default or (has_namespace and inside.prefix is None)
        for text in (inside.text, inside.tail, *inside.attrib.values()):
            if text and ":" in text:
                mentioned.update(_PREFIX.findall(str(text)))
    canonical = _canonical(copy, mentioned) if is_bare and has_default else None
    if canonical is not None:
        written, has_own_default = canonical, copy.prefix is None and str(copy.tag).startswith("{")
    else:
        if not (is_bare and has_default):
            etree.cleanup_namespaces(copy, keep_ns_prefixes=mentioned)
        written, has_own_default = etree.tostring(copy, encoding="unicode"), None in copy.nsmap
    scope = element.nsmap if mentioned or defaults else {}
    added = [(f":{prefix}", scope[prefix]) for prefix in sorted(mentioned & scope.keys() - copy.nsmap.keys())]
    if not has_own_default and (is_bare or (defaults and scope.get(None))):
        added.append(("", "" if is_bare else scope[None]))
    declarations = "".join(f' xmlns{prefix}="{escape(uri)}"' for prefix, uri in added)
    return _START.sub(lambda start: start[0] + declarations, written, count=1) if added else written


def _canonical(copy: etree._Element, prefixes: set[str]) -> str | None:
    """The element by Exclusive C14N 1.0, since lxml's cleanup drops an `xmlns=""` inside a default namespace.

    None if a namespace is not an absolute URI, which C14N does not accept.
    """
    try:
        return etree.tostring(copy, method="c14n", exclusive=True, inclusive_ns_prefixes=sorted(prefixes)).decode()
    except etree.C14NError:
        return None


def fits(fragment: str, limit: int) -> bool:
    """Return whether a fragment has at most `limit` characters, plus at most as many of namespace declarations."""
    return len(fragment) <= limit or (
        len(fragment) <= 2 * limit and len(_DECLARATION.sub("", fragment)) <= limit)
