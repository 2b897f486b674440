"""Tests of soap.fragments: elements are written so that they mean the same in any message, without unused declarations.
"""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from wsdgateway.soap.fragments import fits, write_fragment
from wsdgateway.soap.parsing import parse

URIS = {"a": "urn:a", "b": "urn:b", "c": "http://c.example/ns", "": "urn:default"}
AROUND = '<around xmlns="urn:elsewhere" xmlns:a="urn:not-a" xmlns:z="urn:z">{}</around>'


def unused(xml):
    """Returns the prefixes that a document declares but never uses before a colon."""
    declared = set(re.findall(r'\sxmlns:([\w.-]+)="', xml))
    rest = re.sub(r'\sxmlns(:[\w.-]+)?="[^"]*"', "", xml)
    return {prefix for prefix in declared if f"{prefix}:" not in rest}


def meaning(element):
    """Returns names, attributes, texts, and the namespaces of possible QNames."""
    def resolved(text):
        scope = element.nsmap
        return text, tuple(scope.get(prefix) for prefix in re.findall(r"([a-z]+):", text or ""))

    return (element.tag, {name: resolved(value) for name, value in element.attrib.items()}, resolved(element.text),
            [(meaning(child), child.tail) for child in element])


CASES = {
    "a name": ('<a:x xmlns:a="urn:a" xmlns:b="urn:b"/>', '<a:x xmlns:a="urn:a"/>'),
    "names inside": ('<a:x xmlns:a="urn:a" xmlns:b="urn:b" xmlns:c="urn:c"><b:y c:z="1"/></a:x>', None),
    "a QName in text": ('<a:x xmlns:a="urn:a" xmlns:b="urn:b" xmlns:c="urn:c">b:y</a:x>',
                        '<a:x xmlns:a="urn:a" xmlns:b="urn:b">b:y</a:x>'),
    "a QName in an attribute": ('<a:x xmlns:a="urn:a" xmlns:b="urn:b" k="b:y"/>',
                                '<a:x xmlns:a="urn:a" xmlns:b="urn:b" k="b:y"/>'),
    "a QName after an element": ('<a:x xmlns:a="urn:a" xmlns:b="urn:b"><a:y/>b:z</a:x>', None),
    "declared inside, and unused": ('<a:x xmlns:a="urn:a"><a:y xmlns:b="urn:b"/></a:x>',
                                    '<a:x xmlns:a="urn:a"><a:y/></a:x>'),
    "no namespace": ("<x><y/></x>", '<x xmlns=""><y/></x>'),
    "no namespace inside": ('<a:x xmlns:a="urn:a"><y/></a:x>', '<a:x xmlns="" xmlns:a="urn:a"><y/></a:x>'),
    "a default that is used": ('<x xmlns="urn:d"/>', '<x xmlns="urn:d"/>'),
    "none inside a default": ('<x xmlns="urn:d" xmlns:b="urn:b"><y xmlns=""/></x>',
                              '<x xmlns="urn:d"><y xmlns=""></y></x>'),
    "a default inside none": ('<x xmlns:b="urn:b"><y xmlns="urn:d"/></x>', '<x xmlns=""><y xmlns="urn:d"></y></x>'),
    "none beside a default": ('<a:x xmlns:a="urn:a" xmlns:b="urn:b"><y/><z xmlns="urn:d">b:q</z></a:x>', None),
    "character data": ('<a:x xmlns:a="urn:a"><![CDATA[<&>]]>&#228;</a:x>',
                       '<a:x xmlns:a="urn:a"><![CDATA[<&>]]>\xe4</a:x>'),
    "a relative namespace": ('<x xmlns="d"><y xmlns=""/></x>', '<x xmlns="d"><y xmlns=""/></x>'),
}


@pytest.mark.parametrize(("xml", "expected"), CASES.values(), ids=CASES)
def test_fragments(xml, expected):
    element = parse(xml.encode())
    written = write_fragment(element)
    if expected is not None:
        assert written == expected
    assert meaning(parse(AROUND.format(written).encode())[0]) == meaning(element)
    assert not unused(written)


def test_used_prefixes_of_the_surroundings_are_declared():
    element = parse(b'<e xmlns="urn:d" xmlns:a="urn:a" xmlns:b="urn:b&amp;" xmlns:c="urn:c"><a:x>b:y</a:x>tail</e>')[0]
    assert write_fragment(element) == '<a:x xmlns:b="urn:b&amp;" xmlns:a="urn:a">b:y</a:x>'


def test_a_default_namespace_is_kept_for_names_in_text_on_demand():
    element = parse(b'<e xmlns="urn:d" xmlns:a="urn:a"><a:x>Name</a:x></e>')[0]
    assert write_fragment(element) == '<a:x xmlns:a="urn:a">Name</a:x>'
    assert parse(write_fragment(element, defaults=True).encode()).nsmap == {"a": "urn:a", None: "urn:d"}


def test_many_unused_prefixes_do_not_count():
    around = " ".join(f'xmlns:p{number}="urn:{"n" * 60}:{number}"' for number in range(46))
    element = parse(f"<e {around}><p1:x>{'v' * 4000} p2:y</p1:x></e>".encode())[0]
    written = write_fragment(element)
    assert set(parse(written.encode()).nsmap) == {"p1", "p2"}
    assert fits(written, 4096)


@pytest.mark.parametrize(("fragment", "does_fit"), [
    ("<x>1234</x>", True), ("<x>12345</x>", False), ('<x xmlns="u">1234</x>', True),
    ('<x xmlns:abcdefghi="urn:uuuuuuuuuuuu"/>', False)])
def test_the_size_is_counted_without_declarations(fragment, does_fit):
    assert fits(fragment, 11) is does_fit


names = st.sampled_from(["x", "a:x", "b:x", "c:x"])
texts = st.sampled_from(["", "word", "a:q", "b:q c:q", "urn:a:b", "http://x/", "d:q"])


@st.composite
def elements(draw, depth=3):
    name, attribute = draw(names), draw(st.sampled_from(["", ' k="a:v"', ' b:k="1"', ' c:k="b:v" k="2"']))
    declared = draw(st.lists(st.sampled_from(sorted(URIS)), unique=True, max_size=3))
    spaces = "".join(f' xmlns{":" + prefix if prefix else ""}="{draw(st.sampled_from([URIS[prefix], "urn:other"]))}"'
                     for prefix in declared)
    if "" not in declared and draw(st.booleans()):
        spaces += ' xmlns=""'
    inside = "".join(draw(elements(depth - 1)) + draw(texts) for _ in range(draw(st.integers(0, 2)))) if depth else ""
    return f"<{name}{attribute}{spaces}>{draw(texts)}{inside}</{name}>"


@settings(max_examples=300, derandomize=True, deadline=None)
@given(elements(), st.booleans())
def test_any_element_means_the_same_in_any_other_place(xml, has_default):
    spaces = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in URIS.items() if prefix)
    default = ' xmlns="urn:default"' if has_default else ""
    element = parse(f'<e{spaces}{default} xmlns:unused="urn:unused">{xml}tail</e>'.encode())[0]
    before = etree.tostring(element)
    written = write_fragment(element)
    assert meaning(parse(AROUND.format(written).encode())[0]) == meaning(element)
    assert not unused(written)
    assert etree.tostring(element) == before
