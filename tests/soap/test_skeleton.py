"""Tests of soap.skeleton: which messages are recognised by the bytes around their MessageID."""

import pytest

from tests.messages import get_job_elements
from wsdgateway.soap.envelope import read
from wsdgateway.soap.skeleton import ID_CHARACTERS, is_replaceable, skeleton_of, split

HEAD = b"POST /front-desk/scan HTTP/1.1\r\nHost: gateway\r\n\r\n"
ID = "urn:uuid:00000000-0000-4000-8000-000000000001"
OTHER = "urn:uuid:ffffffff-ffff-4fff-bfff-ffffffffffff"


def skeleton(document, *, head=HEAD, charset=None):
    return skeleton_of(head + document, document, charset, read(document, charset).message_id)


def test_messages_that_differ_in_their_id_have_the_same_skeleton():
    one, other = (get_job_elements(message_id=message_id) for message_id in (ID, OTHER))
    assert skeleton(one) == skeleton(other) == split(HEAD + other)[0]
    assert split(HEAD + other)[1] == OTHER.encode()


def test_a_message_that_differs_elsewhere_has_another_skeleton():
    assert skeleton(get_job_elements("1")) != skeleton(get_job_elements("2"))
    assert skeleton(get_job_elements()) != skeleton(get_job_elements(), head=HEAD.replace(b"gateway", b"another"))


@pytest.mark.parametrize("prefix", ["wsa", "a", "very-long_prefix.1"])
def test_the_prefix_of_the_header_does_not_matter(prefix):
    document = get_job_elements(message_id=ID).replace(b"wsa:", prefix.encode() + b":").replace(
        b"xmlns:wsa=", b"xmlns:%s=" % prefix.encode())
    assert skeleton(document) == split(HEAD + document)[0]


def test_a_message_in_the_default_namespace_of_its_header_is_recognised():
    document = get_job_elements(message_id=ID).replace(
        b"<wsa:MessageID>", b'<MessageID xmlns="http://schemas.xmlsoap.org/ws/2004/08/addressing">').replace(
        b"</wsa:MessageID>", b"</MessageID>")
    assert read(document).message_id == ID
    assert skeleton(document) is None  # its start tag does not end with the name


@pytest.mark.parametrize("document", [
    pytest.param(get_job_elements(message_id=None), id="no id"),
    pytest.param(get_job_elements(message_id=""), id="an empty id"),
    pytest.param(get_job_elements(message_id=f" {ID} "), id="blanks around the id"),
    pytest.param(get_job_elements(message_id=f"<![CDATA[{ID}]]>"), id="CDATA"),
    pytest.param(get_job_elements(message_id="urn:uuid:&#49;"), id="a character reference"),
    pytest.param(get_job_elements(message_id=f"{ID}<!-- -->"), id="a comment in the id"),
    pytest.param(get_job_elements(message_id="urn:uuid:é"), id="an id in another alphabet"),
    pytest.param(get_job_elements(message_id="urn:uuid:1 2"), id="a blank in the id"),
    pytest.param(get_job_elements("é"), id="other text in another alphabet"),
    pytest.param(get_job_elements("urn:job:7", message_id="urn:job:7"), id="the id in another place, too"),
    pytest.param(get_job_elements("1", message_id="1"), id="the id as a part of other text"),
    pytest.param(get_job_elements(message_id=ID, headers="<!-- MessageID>1< -->"), id="a comment"),
    pytest.param(get_job_elements(prolog='<?xml version="1.0" encoding="iso-8859-1"?>'), id="another encoding"),
])
def test_a_message_with_an_uncertain_id_is_not_recognised(document):
    assert skeleton(document) is None


def test_another_element_named_message_id_before_the_header_is_not_mistaken_for_it():
    document = get_job_elements(message_id=ID, to=None).replace(
        b"<soap:Header>", b"<soap:Header><v:MessageID xmlns:v='u:v'></v:MessageID>"
        b"<v:x xmlns:v='u:v'><v:MessageID>urn:uuid:other</v:MessageID></v:x>")
    assert read(document).message_id == ID
    assert skeleton(document) is None


def test_an_id_written_with_a_character_reference_is_not_mistaken_for_another_element():
    document = get_job_elements(message_id="urn:uuid:&#49;", to=None).replace(
        b"<soap:Header>", b"<soap:Header><v:x xmlns:v='u:v'><v:MessageID>urn:uuid:1</v:MessageID></v:x>")
    assert read(document).message_id == "urn:uuid:1"
    assert skeleton(document) is None


def test_an_id_in_the_head_is_not_mistaken_for_the_header():
    assert skeleton(get_job_elements(message_id=ID), head=HEAD[:-2] + b"X: MessageID>1<\r\n\r\n") is None


def test_another_charset_is_not_recognised():
    assert skeleton(get_job_elements(), charset="utf-8") is not None
    assert skeleton_of(HEAD + get_job_elements(), get_job_elements(), "iso-8859-1", ID) is None


@pytest.mark.parametrize("byte", range(256))
def test_only_characters_without_meaning_in_xml_may_take_the_place_of_others(byte):
    character = bytes([byte])
    assert is_replaceable(character) is (character in ID_CHARACTERS)
    assert not character or character not in b"<>&\"' \t\r\n" or not is_replaceable(character)


def test_an_empty_id_is_not_replaceable():
    assert not is_replaceable(b"")
