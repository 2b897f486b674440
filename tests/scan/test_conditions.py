"""Tests of scan.conditions: names of the specification in English words."""

import pytest

from wsdgateway.scan.conditions import JOB_REASONS, in_words, listed


def test_every_reason_of_the_specification_has_words():
    assert set(JOB_REASONS) == {
        "InvalidScanTicket", "DocumentFormatError", "ImageTransferError", "JobCanceledAtDevice",
        "JobCompletedWithErrors", "JobCompletedWithWarnings", "JobScanning", "JobScanningAndTransferring",
        "JobTimedOut", "JobTransferring", "ScannerStopped"}


@pytest.mark.parametrize(("name", "words"), [
    ("MediaJam", "paper jam"), ("CoverOpen", "cover open"), ("InputTrayEmpty", "feeder empty"),
    ("ScannerStopped", "the scanner stopped"), ("RollerWorn", "roller worn"), ("ADFRollerWorn", "ADF roller worn"),
    ("Completed", "completed"), ("E-52", "E-52"), ("", "")])
def test_names_become_words(name, words):
    assert in_words(name) == words


def test_a_list_has_each_name_once_and_no_none():
    assert listed(("None", "MediaJam", "CoverOpen", "MediaJam")) == "paper jam, cover open"
    assert listed(("None",)) == ""
