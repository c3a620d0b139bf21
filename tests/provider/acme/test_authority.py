# SPDX-License-Identifier: Apache-2.0
"""Whatever an authority answers is one failure of ours, and it is believed nothing."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.provider.acme.broken import broken_authority, cuts, damages, leads_to, says
from trustedpods.provider.acme.authority import MAX_ANSWER, MAX_URL, AcmeAccount
from trustedpods.provider.acme.failures import OrderFailure
from trustedpods.provider.core.certificates.types import FailureKind
from trustedpods.provider.facade.certificates import Authority, utc

NAMES = ("k1.acme.test", "*.k1.acme.test")
NOW = 1_900_000_000


@pytest.fixture
def authority(tmp_path):
    with broken_authority(tmp_path) as here:
        yield here


@pytest.fixture
def account(authority) -> AcmeAccount:
    return AcmeAccount(authority.directory, ec.generate_private_key(ec.SECP256R1()), authority.root)


def test_a_good_one_is_understood(authority, account):
    account.open(("mailto:a@acme.test",))
    url = account.place(NAMES)
    assert url == f"{authority.base}/order"
    assert "/proof" not in authority.asked, "no authorization is asked for yet"
    order = account.order(url)
    assert order.status == "pending"
    proof = account.proof(order.authorizations[0], "dns-01", NAMES)
    assert (proof.name, proof.status, proof.token) == ("k1.acme.test", "pending", "dG9rZW4tMDEyMzQ1Njc4OQ")


BROKEN = {
    "cut": cuts,
    "damaged": damages,
    "a list": says([]),
    "a word": says("pending"),
    "a number": says(3),
    "nothing of it": says({}),
    "too long": says("x" * MAX_ANSWER),
}


def failed(call, *args) -> OrderFailure:
    with pytest.raises(OrderFailure) as told:
        call(*args)
    assert len(str(told.value)) < 600
    assert "\n" not in str(told.value)
    return told.value


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_no_answer_is_more_than_a_failure_to_be_tried_again(authority, account, answer):
    authority.answers["/directory"] = answer
    assert failed(account.open, ()).kind is FailureKind.LATER
    del authority.answers["/directory"]
    account.open(())
    for path, call in (
        ("/order", account.order),
        ("/order", account.certificate),
        ("/proof", lambda url: account.proof(url, "dns-01", NAMES)),
        ("/proof", lambda url: account.say_ready(url, "dns-01")),
    ):
        authority.answers[path] = answer
        assert failed(call, f"{authority.base}{path}").kind is FailureKind.LATER


def test_an_order_needs_a_url_of_a_bounded_length(authority, account):
    account.open(())
    for headers in ({}, {"Location": f"https://localhost/{'a' * MAX_URL}"}):
        authority.answers["/newOrder"] = says({"status": "pending"}, **headers)
        assert failed(account.place, NAMES).kind is FailureKind.LATER


WINDOW = {"suggestedWindow": {"start": "2030-01-01T00:00:00Z", "end": "2030-01-02T00:00:00Z"}}


@pytest.mark.parametrize(
    "answer",
    [cuts, says([]), says({"suggestedWindow": 3}), says(WINDOW, **{"Retry-After": "9" * 30})],
    ids=["cut", "a list", "no window", "never again"],
)
def test_a_wrong_word_about_the_renewal_is_a_failure_too(authority, account, answer):
    key = ec.generate_private_key(ec.SECP256R1())
    chain = Authority.make("x", utc(NOW)).issue(NAMES, key, utc(NOW)).pem
    path = "/renewalInfo/"
    account.open(())
    authority.answers[path] = answer
    assert failed(account.suggestion, chain).kind is FailureKind.LATER
    authority.answers[path] = says(WINDOW)
    renew_at, _ = account.suggestion(chain)
    assert renew_at is not None


@pytest.mark.parametrize("name", ["other.test", "k1.acme.test.other", "a" * 70, "$(id)", "", 3, ["k1"], None])
def test_a_name_that_was_not_ordered_is_proven_to_nobody(authority, account, name):
    account.open(())
    page = {**authority.good("/proof"), "identifier": {"type": "dns", "value": name}}
    authority.answers["/proof"] = says(page)
    assert failed(account.proof, f"{authority.base}/proof", "dns-01", NAMES).kind is FailureKind.LOST


def test_a_kind_that_is_not_offered_loses_the_order(authority, account):
    account.open(())
    authority.answers["/proof"] = says({**authority.good("/proof"), "challenges": []})
    assert failed(account.proof, f"{authority.base}/proof", "dns-01", NAMES).kind is FailureKind.LOST


def test_only_https_is_spoken_and_nobody_is_led_elsewhere(authority, account):
    account.open(())
    plain = authority.base.replace("https://", "http://")
    before = len(authority.asked)
    assert "adapter" in str(failed(account.order, f"{plain}/order"))
    assert not [path for path in authority.asked[before:] if path == "/order"]
    authority.answers["/order"] = leads_to(f"{authority.base}/elsewhere")
    assert "leads elsewhere" in str(failed(account.order, f"{authority.base}/order"))
    assert "/elsewhere" not in authority.asked


@pytest.mark.parametrize("detail", [3, ["a"], {"a": 1}, "no\nmore", "x" * 5000])
def test_words_of_a_problem_are_one_line(authority, account, detail):
    account.open(())
    authority.answers["/order"] = says(
        {**authority.good("/order"), "error": {"type": "urn:ietf:params:acme:error:caa", "detail": detail}}
    )
    problem = account.order(f"{authority.base}/order").problem
    assert problem.startswith("caa: ")
    assert len(problem) < 600
    assert "\n" not in problem
