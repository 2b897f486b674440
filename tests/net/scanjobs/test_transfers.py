"""Tests of net.scanjobs.transfers: how a CancelJob and an image that is arriving end each other."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from wsdgateway.bridge.scanjobs.scanjob import Order, Refusal, ScanJob
from wsdgateway.net.scanjobs.transfers import CANCEL_SECONDS, Transfers
from wsdgateway.scan.jobs import CreatedJob

UNSENT = Refusal("ServerErrorTemporaryError", unreachable=True)
LOST = Refusal("ServerErrorTemporaryError", unreachable=True, lost=True)


class Request:
    sent = True


class Requests:
    """The requests to the scanner; the test answers `canceling`, and `abandon` ends an image."""

    def __init__(self):
        self.canceling, self.abandoned, self.image, self.request = [], [], None, Request()

    def retrieve(self, created, number, client, sink, began):
        self.image = Deferred()
        began("image")
        return self.image

    def cancel(self, job_id, client, began):
        began(self.request)
        self.canceling.append(Deferred())
        return self.canceling[-1]

    def abandon(self, request):
        self.abandoned.append(request)
        if request == "image":
            self.image.callback(LOST)


class Scene:
    def __init__(self):
        self.clock, self.requests, self.ended = Clock(), Requests(), []
        self.transfers = Transfers(self.clock, self.requests)
        self.job = ScanJob("a", Order((), 1, False, ""), 0.0)
        self.job.created = CreatedJob("7", None)
        self.is_over = False

    def retrieve(self):
        return Deferred.fromCoroutine(self.transfers.retrieve(self.job, 1, None))

    def cancel(self):
        canceling = Deferred.fromCoroutine(self.transfers.cancel(self.job, lambda: self.is_over))
        canceling.addCallback(self.ended.append)


@pytest.fixture
def scene():
    made = Scene()
    yield made
    assert made.clock.getDelayedCalls() == []


def test_the_image_is_ended_after_the_cancel_was_answered(scene):
    retrieving = scene.retrieve()
    scene.cancel()
    assert (len(scene.requests.canceling), scene.requests.abandoned) == (1, [])
    scene.requests.canceling[0].callback(None)
    assert (scene.requests.abandoned, scene.ended) == (["image"], [None])
    assert retrieving.result is LOST


def test_the_image_is_ended_if_the_cancel_is_not_answered(scene):
    scene.retrieve()
    scene.cancel()
    scene.clock.advance(CANCEL_SECONDS)
    assert (scene.requests.abandoned, scene.ended) == (["image"], [])
    scene.requests.canceling[0].callback(LOST)
    assert (len(scene.requests.canceling), scene.ended) == (1, [None])


def test_a_cancel_that_was_not_sent_is_tried_again_without_the_image(scene):
    scene.retrieve()
    scene.cancel()
    scene.requests.canceling[0].callback(UNSENT)
    assert (len(scene.requests.canceling), scene.requests.abandoned) == (2, ["image"])
    scene.requests.canceling[1].callback(UNSENT)
    assert (len(scene.requests.canceling), scene.ended) == (2, [None])


def test_no_cancel_for_a_job_that_is_over(scene):
    scene.is_over = True
    scene.cancel()
    assert (scene.requests.canceling, scene.ended) == ([], [None])


@pytest.mark.parametrize("sent", [True, False])
def test_a_withdrawn_cancel_is_not_sent(scene, sent):
    scene.requests.request.sent = sent
    scene.cancel()
    scene.transfers.withdraw(scene.job)
    scene.transfers.withdraw(scene.job)
    assert scene.requests.abandoned == ([] if sent else [scene.requests.request])
    scene.requests.canceling[0].callback(UNSENT)
    assert (len(scene.requests.canceling), scene.ended) == (1, [None])
