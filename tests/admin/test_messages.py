"""Tests of admin.messages: the display of messages on the admin pages."""

from tests.messages import create_scan_job, created_job
from wsdgateway.admin.messages import show
from wsdgateway.exchangelog.masking import Masks


def test_xml_is_indented_and_masked():
    text = show(created_job("7", token="t0ken"), Masks(), cut=False)
    assert "\n      <wscn:JobId>7</wscn:JobId>\n" in text
    assert "t0ken" not in text and "<wscn:JobToken>xxxxx</wscn:JobToken>" in text
    assert "Letter" not in show(create_scan_job(), Masks(), cut=False)
    assert "Letter" in show(create_scan_job(), Masks(identify=True), cut=False)


def test_other_content_than_xml_is_shown_unchanged():
    assert show(b"no <xml", Masks(), cut=False) == "no <xml"
    assert show(b"\xff<a/>", Masks(), cut=False) == "�<a/>"
    whole = created_job("7", token="t0ken")
    text = show(whole[:-60], Masks(), cut=True)
    assert text.startswith("<?xml") and "t0ken" not in text
