"""Tests of bridge.destinations.outcomes: the cause of a failed scan in words."""

import pytest

from wsdgateway.bridge.destinations.outcomes import cause_of
from wsdgateway.bridge.scanjobs.scanjob import End, Reason


@pytest.mark.parametrize(("end", "conditions", "words"), [
    (End(Reason.STOPPED_AT_DEVICE, "X"), ("InputTrayEmpty", "MediaJam"), "paper jam"),
    (End(Reason.REFUSED, "X"), ("CoverOpen",), "cover open"),
    (End(Reason.BUSY, "X", "Try later."), ("MediaJam",), "paper jam"),
    (End(Reason.BUSY, "X", "Try later."), ("InputTrayEmpty",), "the scanner is busy: Try later"),
    (End(Reason.STOPPED_AT_DEVICE, "Fault", "It is off."), (), "the scanner stopped the job: It is off"),
    (End(Reason.FEEDER_EMPTY, "ClientErrorNoImagesAvailable"), ("MediaJam",),
     "the feeder is empty: ClientErrorNoImagesAvailable"),
    (End(Reason.CANCELED_AT_DEVICE, "X", "text"), (), "the scan was canceled at the scanner"),
    (End(Reason.SPOOL_FAILED, text="/srv: No space left on device"), (),
     "the page could not be written: /srv: No space left on device"),
    (End(Reason.STOPPING), (), "the gateway is stopping"),
])
def test_the_cause(end, conditions, words):
    assert cause_of(end, conditions) == words
