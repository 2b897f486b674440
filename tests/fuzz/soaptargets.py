"""Fuzz targets for the code that reads SOAP of clients and scanners: envelopes, requests, job events, discovery,
metadata.

For any bytes, a target raises only `AssertionError`, if a guarantee is broken.
"""

import re
from datetime import UTC, datetime

import attrs
from escltargets import offered_by_escl

from tests.options import scanner_options
from wsdgateway.bridge.decisions import Answer, Forward, Question, Refuse, Reply
from wsdgateway.bridge.events.fanout import prepare
from wsdgateway.bridge.events.intake import Notification, read_notification
from wsdgateway.bridge.events.sinks import BadSink, parse_sink
from wsdgateway.bridge.frontends.frontend import DeviceRequest, EventingRequest, Rejected
from wsdgateway.bridge.frontends.wsscan import Endpoint, route
from wsdgateway.bridge.jobs.answers import JobAnswers
from wsdgateway.bridge.rewriting import REPLIES, names_gateway, relate_reply
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.discovery.matching import UnknownRule, check_rule, matches
from wsdgateway.discovery.messages import Message, Probe, Resolve, Sequence, message_in, read_message
from wsdgateway.discovery.versions import WS_2005_04
from wsdgateway.discovery.writing import in_envelopes, write_bye, write_hello, write_matches, write_probe, write_resolve
from wsdgateway.eventing.messages import read_granted, write_renew, write_unsubscribe
from wsdgateway.eventing.source import read_renew, read_subscribe, write_subscription_end
from wsdgateway.metadata.messages import read_labels, scan_service_addresses
from wsdgateway.metadata.standin import digest, find_metadata, host_endpoint, is_stand_in, stand_in
from wsdgateway.net.events.eventingclient import managed_at
from wsdgateway.replay.recording import asked_for
from wsdgateway.replay.writing import renewed, to_listener
from wsdgateway.scan.destinations import read_destinations, read_tokens, write_responses, write_tokens
from wsdgateway.scan.documentparameters import read_parameters, write_scan_ticket
from wsdgateway.scan.jobelements import JobElementsRequest, read_response
from wsdgateway.scan.jobs import people_of
from wsdgateway.scan.operations import EVENT_SPELLINGS
from wsdgateway.scan.scannerconfiguration import read_configuration
from wsdgateway.scan.scannerelements import read_description, read_elements
from wsdgateway.scan.scannerstatus import MAX_CONDITIONS, read_status
from wsdgateway.scan.statusevents import read_status_event
from wsdgateway.soap.addressing import ANONYMOUS
from wsdgateway.soap.encodings import holds_document_type, mended
from wsdgateway.soap.envelope import compose, read, read_leniently, write
from wsdgateway.soap.faults import Refused, fault_in, fault_of, invalid_args, reason_of, write_fault
from wsdgateway.soap.namespaces import WSA, WSCN
from wsdgateway.soap.parsing import Malformed, parse, text_of

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
ID = "urn:uuid:00000000-0000-4000-8000-0000000000ff"
DEVICE = "http://198.51.100.20:80/WDP/SCAN"


def _same(one, other):
    """Returns whether two trees are equal in names, texts, attributes and prefixes in scope."""
    pairs = list(zip(one.iter(), other.iter(), strict=True))
    return all((first.tag, first.text or "", first.tail or "", first.attrib, first.nsmap)
               == (second.tag, second.text or "", second.tail or "", second.attrib, second.nsmap)
               for first, second in pairs)


def _headers(envelope):
    return envelope.action, envelope.message_id, envelope.relates_to, envelope.to, envelope.obliges


def _check_fault(fault, relates_to):
    """Checks that the fault for a message is SOAP and relates to the message."""
    message = read(write_fault(fault, relates_to=relates_to, message_id=ID))
    assert (message.message_id, message.relates_to) == (ID, relates_to)


def scanner_answers(data):
    """Mending an answer changes none that can be read, and brings about no document type declaration."""
    try:
        whole = read(data)
    except Malformed:
        whole = None
    try:
        answer = read_leniently(data)
    except Malformed:
        assert whole is None
        return
    if whole is not None:
        assert write(answer.root) == write(whole.root)
        return
    better = mended(data)
    assert better != data and not holds_document_type(better)
    fault_in(data)
    assert read_leniently(relate_reply(data, ID)).action == answer.action


def envelope(data):
    """A message that is read, written and read again is the same; faults and answers to it are SOAP."""
    try:
        first = read(data)
    except Malformed as error:
        _check_fault(invalid_args(str(error)), error.message_id)
        return
    again = read(write(first.root))
    assert _headers(again) == _headers(first) and _same(first.root, again.root), "the written message differs"
    fault_of(first), reason_of(first), people_of(first.body), asked_for(first)
    _check_fault(invalid_args(first.to or ""), first.message_id)
    shared = read(relate_reply(data, ID))
    assert shared.relates_to in (ID, first.relates_to)
    played = read(renewed(to_listener(first, ("here",)), message_id=ID, relates_to=None, hosts=frozenset(),
                          base="http://here:1", jobs={"1": "2"}))
    assert (played.body is None) == (again.body is None)


def _bridge():
    bridge = ScannerBridge(scanner_options(max_age=30.0, poll_interval=1.0, history=2), new_id=lambda: ID)
    bridge.device = DEVICE
    bridge.endpoints = ("urn:uuid:ours", "urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366")
    return bridge


def requests(data):
    """A request is forwarded with the gateway's addresses replaced, answered or refused; all results are SOAP."""
    for endpoint in Endpoint:
        question = route(data, endpoint, client="192.0.2.7", host=b"gateway.test:5357", subscription="urn:uuid:path")
        if isinstance(question, Rejected):
            _check_fault(question.fault, question.relates_to)
        elif isinstance(question, EventingRequest):
            _check_eventing(question)
        elif isinstance(question, DeviceRequest):
            try:
                assert question.name == "Get" or isinstance(message_in(question.envelope), Message)
            except Malformed:
                pass
        else:
            _check_question(question)


def _check_question(question):
    decision = _bridge().ask(question, 0.0)
    if isinstance(decision, Answer | Refuse):
        return
    assert isinstance(question, Question) and isinstance(decision, Forward)
    sent = read(decision.body)
    assert (sent.action, sent.message_id) == (question.envelope.action, question.envelope.message_id)
    if names_gateway(question.envelope.to or "", "front-desk", frozenset(("gateway.test:5357",))):
        assert sent.to == DEVICE, "the gateway's own address is forwarded"
    for header in sent.header if sent.header is not None else ():
        if header.tag in REPLIES:
            assert [text_of(address) for address in header.iterchildren(f"{{{WSA}}}Address")] == [ANONYMOUS]


def _check_eventing(request):
    for reading in (lambda: read_subscribe(request.envelope, NOW, EVENT_SPELLINGS),
                    lambda: read_renew(request.envelope, NOW)):
        try:
            asked = reading()
        except Refused as refused:
            _check_fault(refused.fault, request.envelope.message_id)
            continue
        for reference in (getattr(asked, "notify_to", None), getattr(asked, "end_to", None)):
            if reference is not None:
                _check_delivery(reference)
    if request.envelope.body is not None:
        destinations = read_destinations(request.envelope.body)
        if destinations is not None:
            parse(destinations.xml.encode())
            parse(write_tokens([(context, name) for context, name in destinations.listed]).encode() or b"<none/>")


def _check_delivery(reference):
    """A message to a client's endpoint reference carries the reference parameters and is one message."""
    try:
        parse_sink(reference.address)
    except BadSink:
        return
    event = prepare(read(compose(action=f"{WSCN}/JobStatusEvent", message_id=ID, to="x", body="<wscn:JobStatusEvent/>",
                                 namespaces={"wscn": WSCN})))
    ending = write_subscription_end(to=reference, manager=DEVICE, identifier=ID, status="x", reason="y", message_id=ID)
    for message in (event.to(reference, ID), ending):
        sent = read(message)
        assert (sent.message_id, sent.to) == (ID, reference.address), "a reference parameter changes the message"
        assert len(sent.header) == len(reference.parameters) + 3


def job_events(data):
    """Messages of a scanner and its clients, separated by NUL, break no table, and finished jobs stay finished."""
    bridge = _bridge()
    bridge.table.listening = True
    for now, raw in enumerate(data.split(b"\0")[:32]):
        before = {job.job_id: job for job in bridge.table.jobs() if job.boot == bridge.table.boot}
        moment = bridge.table.moment()
        notification = read_notification(raw)
        if isinstance(notification, Notification):
            bridge.notifications.received(notification, float(now))
            read_status_event(notification.envelope.body)
            assert len(bridge.reported.conditions) <= MAX_CONDITIONS
        else:
            _ask_and_learn(bridge, raw, float(now))
        assert bridge.table.moment() > moment
        for job_id, job in before.items():
            _check_stays_finished(job, bridge.table.get(job_id))
        for job in bridge.table.jobs():
            _check_job_answer(bridge, job.job_id, float(now))


def _ask_and_learn(bridge, raw, now):
    """Sends a request and keeps it; any other message is taken as the answer to every request in progress."""
    question = route(raw, Endpoint.SCAN, client="192.0.2.7", host=b"h")
    if not isinstance(question, Question):
        return
    if question.operation.name != "other":
        decision = bridge.ask(question, now)
        if isinstance(decision, Forward):
            bridge.sent(decision, now)
            bridge.waiting = [*getattr(bridge, "waiting", ())[-4:], decision]
        return
    waiting, bridge.waiting = getattr(bridge, "waiting", []), []
    for forward in waiting:
        bridge.learn(forward, Reply(200, b"application/soap+xml", raw), now)


def _check_stays_finished(job, later):
    if later is None or not job.final or later.final or later.since != job.since:
        return
    raise AssertionError(f"job {job.job_id} is alive again")


def _check_job_answer(bridge, job_id, now):
    """The gateway's own answer about a job is SOAP and contains the status in the table."""
    known = bridge.table.readable(job_id, now)
    if known is None:
        return
    written = JobAnswers(bridge.table).write(
        JobElementsRequest(job_id, ("JobStatus",)), relates_to="urn:uuid:1", message_id=ID, now=now)
    shown = read_response(read(written).body).status
    assert shown is not None, "the answer contains no status"
    assert (shown.job_id, shown.state, shown.scans_completed, shown.created, shown.completed, len(shown.vendor)) == (
        known.job_id, known.state, known.scans_completed, known.created, known.completed, len(known.vendor))
    assert shown.reasons == (known.reasons or ("None",))


def scanner_elements(data):
    """A scanner's elements are read without errors, and a ticket can be made of its parameters."""
    try:
        body = read(data).body
    except Malformed:
        return
    read_description(body)
    for element in read_elements(body).values():
        read_status(element)
        configuration = read_configuration(element)
        assert all(dots > 0 for offer in configuration.sources.values() for dots in offer.resolutions)
        offered_by_escl(configuration)
        for inner in element.iter("{*}*"):
            wanted = read_parameters(inner)
            if wanted.format is not None:
                ticket = write_scan_ticket(wanted, job_name="a & b", user="<c>")
                again = next(parse(f'<x xmlns:wscn="{WSCN}">{ticket}</x>'.encode()).iter(
                    f"{{{WSCN}}}DocumentParameters"))
                assert read_parameters(again).format == wanted.format


def metadata(data):
    """A stand-in's metadata is well-formed, contains only the gateway's addresses, and is recognised as a stand-in's.
    """
    try:
        answer = read(data)
        scan_service_addresses(answer)
    except Malformed:
        return
    found = find_metadata(answer.body)
    if found is None:
        return
    read_labels(found), digest(found), is_stand_in(found), host_endpoint(found)
    hosts = frozenset(("198.51.100.20", "mfp", "fe80::21b:82ff:feaa:1"))
    ours = parse(stand_in(found, endpoint="urn:uuid:ours", scan="http://192.0.2.5:5357/front-desk/scan", hosts=hosts,
                          suffix=" (bridged)").encode())
    text = "".join(f" {element.text or ''} {element.tail or ''}" for element in ours.iter())
    assert not re.search(r"(?<![\w.-])198\.51\.100\.20(?![\w-]|\.\w)", text), "the scanner's address is left"
    if host_endpoint(found) is not None:
        assert host_endpoint(ours) == "urn:uuid:ours" and is_stand_in(ours)


def granted(data):
    """A scanner's answer to Subscribe or Renew is read; Renew and Unsubscribe carry its reference parameters."""
    try:
        answer = read(data)
        got = read_granted(answer, NOW)
    except Malformed:
        return
    tokens = read_tokens(answer.body)
    assert parse(write_tokens(tokens).encode() or b"<none/>") is not None
    written = write_responses(answer.body, {token: "ours" for _, token in tokens})
    assert not written or parse(written.encode()) is not None
    if got is not None and got.manager is not None:
        _, manager = managed_at(got.manager, "http://198.51.100.20/scan")
        for message in (write_renew(manager=manager, message_id=ID, expires=60.0),
                        write_unsubscribe(manager=manager, message_id=ID)):
            sent = read(message)
            assert (sent.to, sent.message_id) == (manager.address, ID)
            assert len(sent.header) == 4 + len(manager.parameters)  # To, Action, MessageID, ReplyTo


def discovery(data):
    """A message that is read, written and read again is the same; only `Malformed` and `UnknownRule` are raised."""
    try:
        message = read_message(data)
    except Malformed:
        return
    assert message is not None
    sequence = Sequence(1763800000, 7)
    if isinstance(message.content, Probe):
        probe = message.content
        again = read_message(write_probe(probe.types, message_id=ID))
        assert again.content == Probe(probe.types)
        try:
            check_rule(probe.match_by)
            matches(probe.types, probe.scopes, probe.match_by, offered_types=probe.types, offered_scopes=probe.scopes)
        except UnknownRule:
            pass
    elif isinstance(message.content, Resolve):
        assert read_message(write_resolve(message.content.endpoint, message_id=ID)).content == message.content
    elif message.name == "Hello":
        again = read_message(write_hello(message.content[0], sequence=sequence, message_id=ID))
        assert (again.content, again.sequence) == (message.content, sequence)
    elif message.name == "Bye":
        again = read_message(write_bye(message.content[0].endpoint, sequence=sequence, message_id=ID))
        assert again.version is WS_2005_04 and again.content[0].endpoint == message.content[0].endpoint
    else:
        parts = ()
        for some in in_envelopes(message.content, message.message_id):
            again = read_message(write_matches(message.name, some, version=message.version, sequence=sequence,
                                               relates_to=message.message_id, message_id=ID))
            assert again.relates_to == message.message_id
            parts += again.content
        assert parts == message.content or len(parts) < len(message.content)
    attrs.astuple(message, recurse=False)
