"""Tests of metadata.names: display names of devices, and addresses that are no names."""

import pytest

from wsdgateway.metadata.messages import Labels
from wsdgateway.metadata.names import is_address, name_of

ADDRESSES = ["198.51.100.20", " 198.51.100.20 ", "198.51.100.20:80", "198.51.100.20/index.html", "2001:db8::20",
             "[2001:db8::20]", "[2001:db8::20]:5358", "fe80::20%eth0", "http://198.51.100.20/",
             "https://scanner.local:443",
             "HTTP://[2001:db8::20]/x", "(198.51.100.20)", "<198.51.100.20>", "198.51.100.20, 2001:db8::20"]


@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_is_no_name(text):
    assert is_address(text)
    assert Labels(friendly_name=text, model="Acme 3000").name == "Acme 3000"
    assert Labels(friendly_name=text, model=text).name == ""
    assert name_of(text, text, "front-desk") == "front-desk"


@pytest.mark.parametrize("text", ["Acme 3000", "Acme (198.51.100.20)", "3000", "1.2.3", "KM000001", "Acme:3000",
                                  "::", "a:b", "[x", "scanner.local", "198.51.100.20 copy room"])
def test_any_other_text_is_a_name(text):
    is_ip = text == "::"
    assert is_address(text) is is_ip
    assert Labels(friendly_name=text, model="Acme 3000").name == ("Acme 3000" if is_ip else text)


def test_an_empty_text_is_no_name():
    assert not is_address("")
    assert name_of("", " ", " Hall ") == "Hall"
    assert Labels().name == ""


@pytest.mark.parametrize(("manufacturer", "model", "expected"), [
    ("Acme", "3000", "Acme 3000"), ("Acme", "Acme 3000", "Acme 3000"), ("ACME", "Acme 3000", "Acme 3000"),
    ("Acme", "Acmetronic 3", "Acme Acmetronic 3"), ("Acme", "", "Acme"), ("", "3000", "3000"),
    ("unknown", "3000", "3000"), ("", "", "")])
def test_the_manufacturer_is_named_once(manufacturer, model, expected):
    assert Labels(manufacturer=manufacturer, model=model).full_model == expected
