"""Tests of bridge.events.upstreamanswers: a scanner's answers to Subscribe, Renew and Unsubscribe, and their effects.
"""

import pytest

from tests.messages import envelope, fault
from wsdgateway.bridge.decisions import Reply
from wsdgateway.bridge.events.upstream import Upstream
from wsdgateway.bridge.events.upstreamanswers import UpstreamAnswer, is_other_service, read_answer
from wsdgateway.bridge.events.upstreamcommands import Lost, Renew, Replace, Subscribe, Wake
from wsdgateway.eventing.messages import Granted
from wsdgateway.soap.addressing import EndpointReference
from wsdgateway.soap.namespaces import WSE

SOAP_TYPE = b"application/soap+xml"
MANAGER = EndpointReference("http://192.0.2.20/manager")


def grant(expires):
    return envelope(f"{WSE}/SubscribeResponse", (
        "<wse:SubscribeResponse><wse:SubscriptionManager><wsa:Address>http://192.0.2.20/manager</wsa:Address>"
        f"</wse:SubscriptionManager><wse:Expires>{expires}</wse:Expires></wse:SubscribeResponse>"))


@pytest.mark.parametrize(("reply", "granted", "refusal"), [
    (Reply(200, SOAP_TYPE, grant("PT60S")), Granted(MANAGER, 60.0), ""),
    (Reply(200, SOAP_TYPE, grant("soon")), Granted(MANAGER, None), ""),
    (Reply(500, SOAP_TYPE, fault("wse:UnableToRenew", code="Receiver")), None, "UnableToRenew"),
    (Reply(200, SOAP_TYPE, fault("wse:UnableToRenew", code="Receiver")), None, "UnableToRenew"),
    (Reply(500, SOAP_TYPE, grant("PT60S")), None, "500"),
    (Reply(503, b"text/plain", b"busy"), None, "503"), (Reply(404, b"", b""), None, "404"),
    (Reply(200, b"text/html", b"<p>"), None, ""), (Reply(202, b"", b""), None, ""),
    (Reply(200, SOAP_TYPE, envelope(f"{WSE}/Odd", "<wse:Odd/>")), None, "")])
def test_an_answer_is_a_grant_a_refusal_or_neither(reply, granted, refusal):
    answer = read_answer(reply, 0.0)
    assert (answer.granted, answer.refusal) == (granted, refusal)


@pytest.mark.parametrize(("headers", "seconds"), [
    ((), 60.0), ([(b"date", b"Thu, 01 Jan 1970 00:01:00 GMT")], 3600.0), ([(b"date", b"yesterday")], 60.0),
    ([(b"date", b"Thu, 01 Jan 1970 00:01:00 -0000")], 3600.0)])
def test_a_point_in_time_is_read_by_the_scanners_clock_if_it_sends_a_date(headers, seconds):
    reply = Reply(200, SOAP_TYPE, grant("1970-01-01T01:01:00Z"), headers=headers)
    assert read_answer(reply, 3600.0).granted.expires == seconds


@pytest.mark.parametrize(("reply", "expected"), [
    (Reply(404, b"text/plain", b"no"), True), (Reply(404, b"", b""), True), (Reply(200, b"text/html", b"<p>"), True),
    (Reply(503, b"text/plain", b"busy"), False), (Reply(202, b"", b""), False),
    (Reply(500, SOAP_TYPE, fault("wse:UnableToRenew", code="Receiver")), False)])
def test_answers_that_come_from_no_soap_service(reply, expected):
    assert is_other_service(reply) is expected


# The effects on the subscription.

def upstream(state):
    made = Upstream(address="http://192.0.2.20/scan", expires=3600.0, random=lambda: 0.5)
    made.start()
    if state != "subscribing":
        made.granted(Granted(MANAGER, 3600.0), 0.0)
        made.due()
    if state == "replacing":
        made.moved()
    assert made.state == state
    return made


GRANTED, BUSY = UpstreamAnswer(Granted(MANAGER, 60.0), "", None), UpstreamAnswer(None, "503", None)
REFUSED, EMPTY = UpstreamAnswer(None, "OperationFailed", None), UpstreamAnswer(None, "", None)
ACTIONS = Subscribe(())


@pytest.mark.parametrize(("before", "command", "answer", "now", "after", "kinds"), [
    ("subscribing", ACTIONS, GRANTED, 1.0, "subscribed", [Wake]),
    ("subscribing", ACTIONS, REFUSED, 1.0, "subscribing", [Subscribe]),
    ("subscribing", ACTIONS, BUSY, 1.0, "waiting", [Wake]),
    ("subscribing", ACTIONS, EMPTY, 1.0, "unconfirmed", [Wake]),
    ("renewing", Renew(MANAGER), GRANTED, 1.0, "subscribed", [Wake]),
    ("renewing", Renew(MANAGER), REFUSED, 1.0, "replacing", [Replace]),
    ("renewing", Renew(MANAGER), BUSY, 1.0, "subscribed", [Wake]),
    ("renewing", Renew(MANAGER), EMPTY, 1.0, "subscribed", [Wake]),
    ("replacing", Replace(MANAGER), EMPTY, 1.0, "subscribing", [Lost, Subscribe]),
    ("replacing", Replace(MANAGER), REFUSED, 1.0, "subscribing", [Lost, Subscribe]),
    ("replacing", Replace(MANAGER), BUSY, 1.0, "stale", [Wake]),
    ("replacing", Replace(MANAGER), BUSY, 3600.0, "subscribing", [Lost, Subscribe])])
def test_the_state_and_commands_after_an_answer(before, command, answer, now, after, kinds):
    made = upstream(before)
    commands = made.answered(command, answer, now)
    assert made.state == after
    assert [type(one) for one in commands] == kinds


@pytest.mark.parametrize(("before", "command", "sent", "after"), [
    ("subscribing", ACTIONS, True, "waiting"), ("subscribing", ACTIONS, False, "waiting"),
    ("renewing", Renew(MANAGER), True, "subscribed"), ("replacing", Replace(MANAGER), False, "stale"),
    ("replacing", Replace(MANAGER), True, "subscribing")])
def test_the_state_without_an_answer(before, command, sent, after):
    made = upstream(before)
    made.unanswered(command, 1.0, sent=sent)
    assert made.state == after
