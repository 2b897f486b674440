"""Tests of scan.conditions: names of the specification in English words, and those that need attention."""

import pytest

from wsdgateway.scan.conditions import NEED_ATTENTION, WORDS, in_words, listed, needing_attention

CONDITIONS = {"Calibrating", "CoverOpen", "InputTrayEmpty", "InterlockOpen", "InternalStorageFull", "LampError",
              "LampWarming", "MediaJam", "MultipleFeedError"}
STATE_REASONS = CONDITIONS - {"InputTrayEmpty"} | {"AttentionRequired", "None", "Paused"}
JOB_REASONS = {"InvalidScanTicket", "DocumentFormatError", "ImageTransferError", "JobCanceledAtDevice",
               "JobCompletedWithErrors", "JobCompletedWithWarnings", "JobScanning", "JobScanningAndTransferring",
               "JobTimedOut", "JobTransferring", "None", "ScannerStopped"}


def test_every_name_of_the_specification_has_words():
    assert set(WORDS) == CONDITIONS | STATE_REASONS | JOB_REASONS
    assert all(words == words.strip() and not words.endswith(".") for words in WORDS.values())
    assert {"AttentionRequired", "CoverOpen", "InterlockOpen", "InternalStorageFull", "LampError",
                              "MediaJam", "MultipleFeedError", "Paused"} == NEED_ATTENTION


@pytest.mark.parametrize(("name", "words"), [
    ("MediaJam", "paper jam"), ("CoverOpen", "cover open"), ("InputTrayEmpty", "feeder empty"),
    ("ScannerStopped", "the scanner stopped"), ("RollerWorn", "roller worn"), ("ADFRollerWorn", "ADF roller worn"),
    ("USBFull", "USB full"), ("E-52", "E-52"), ("", "")])
def test_names_become_words(name, words):
    assert in_words(name) == words


def test_a_list_has_each_name_once_and_no_none():
    assert listed(("None", "MediaJam", "CoverOpen", "MediaJam")) == "paper jam, cover open"
    assert listed(("None",)) == ""


@pytest.mark.parametrize(("names", "state", "needing"), [
    ((), "Idle", ()), (("None",), "Stopped", ()),
    (("MediaJam",), "Idle", ("MediaJam",)), (("MediaJam",), None, ("MediaJam",)),
    (("AttentionRequired", "MediaJam", "CoverOpen", "MediaJam"), "Stopped", ("MediaJam", "CoverOpen")),
    (("AttentionRequired",), "Stopped", ("AttentionRequired",)),
    (("AttentionRequired", "InputTrayEmpty"), "Stopped", ()), (("InputTrayEmpty",), "Stopped", ()),
    (("LampWarming", "Calibrating"), "Stopped", ()),
    (("AttentionRequired", "LampWarming"), "Stopped", ("AttentionRequired",)),
    (("RollerWorn",), "Idle", ()), (("RollerWorn",), "Stopped", ("RollerWorn",)),
    (("AttentionRequired", "RollerWorn"), "Idle", ("RollerWorn",))])
def test_conditions_that_need_attention(names, state, needing):
    assert needing_attention(names, state) == needing
