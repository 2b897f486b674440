"""Tests of bridge.discovery.knowledge: the validity of a known value, and which answers still count."""

from wsdgateway.bridge.discovery.knowledge import Knowledge


def test_an_answer_is_valid_until_there_is_doubt():
    known = Knowledge()
    assert (known.value, known.is_certain, known.is_asking) == (None, False, False)
    question = known.ask()
    assert known.is_asking
    assert known.answered(question, "Hall") == "current"
    assert (known.value, known.is_certain, known.is_asking) == ("Hall", True, False)
    known.doubt()
    assert (known.value, known.is_certain) == ("Hall", False)
    assert known.answered(known.ask(), "Lobby") == "current"
    assert (known.value, known.is_certain) == ("Lobby", True)


def test_a_failure_does_not_change_the_value():
    known = Knowledge()
    known.answered(known.ask(), "Hall")
    known.doubt()
    assert known.failed(known.ask()) == "current"
    assert (known.value, known.is_certain, known.is_asking) == ("Hall", False, False)


def test_an_answer_requested_before_the_value_was_forgotten_is_not_kept():
    known = Knowledge()
    question = known.ask()
    known.forget()
    assert known.answered(question, "Hall") == "outdated"
    assert (known.value, known.is_asking) == (None, False)
    known.answered(known.ask(), "Hall")
    question = known.ask()
    known.forget()
    assert known.value is None
    assert known.failed(question) == "outdated"


def test_only_the_last_question_counts():
    known = Knowledge()
    first, second = known.ask(), known.ask()
    assert known.answered(first, "Hall") == "superseded"
    assert known.is_asking and known.value is None
    assert known.answered(second, "Lobby") == "current"
    assert known.failed(first) == "superseded"
    assert known.value == "Lobby"
