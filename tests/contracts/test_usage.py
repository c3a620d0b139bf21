# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.strategies import items
from trustedpods.contracts.eip712 import Domain, address_of, sign_usage
from trustedpods.contracts.usage import ItemFlags, SignedClaim, SubmissionResult, UsageClaim, UsageItem
from trustedpods.protocol.errors import BadInput, LocalProtocolError
from trustedpods.protocol.ids import PodRef
from trustedpods.protocol.units import Usage

OWNER, PUBLISHER = address_of(b"\1" * 32), address_of(b"\2" * 32)
REF = PodRef(OWNER, PUBLISHER, b"s" * 32)


@given(items)
def test_items_survive_their_words(item):
    assert UsageItem.from_words(*item.words()) == item


@pytest.mark.parametrize(
    "item",
    [
        UsageItem(1 << 192, 0, 1, Usage()),
        UsageItem(-1, 0, 1, Usage()),
        UsageItem(1, 0, 1 << 32, Usage()),
        UsageItem(1, 0, 1, Usage(1 << 48)),
        UsageItem(1, 0, 1, Usage(-1)),
    ],
)
def test_numbers_that_do_not_fit_are_a_bug_here(item):
    with pytest.raises(LocalProtocolError):
        item.words()


@given(st.integers(0, 2**256 - 1))
def test_results_survive_their_word(word):
    assert SubmissionResult.from_word(word).word() == word


def test_results_know_their_channel():
    result = SubmissionResult.from_word((REF.channel % 2**128) << 128 | 5)
    assert result.is_for(REF.channel)
    assert not result.is_for(REF.channel + 1)
    assert result.paid == 5


def test_only_what_wrote_nothing_counts_as_skipped():
    skipped = {flag for flag in ItemFlags if flag.skipped}
    assert skipped == {ItemFlags.DRY, ItemFlags.FUTURE, ItemFlags.STALE, ItemFlags.FOREIGN}


def test_refs_are_those_of_the_releasing_items():
    item = UsageItem(REF.channel, 1, 2, Usage(), release=True)
    UsageClaim(OWNER, b"r" * 32, (item,), (REF,))
    for refs in ((), (PodRef(OWNER, PUBLISHER, b"t" * 32),), (REF, REF)):
        with pytest.raises(LocalProtocolError):
            UsageClaim(OWNER, b"r" * 32, (item,), refs)


def test_signed_claims_survive_the_disk():
    item = UsageItem(REF.channel, 1, 2, Usage(5, 6, 7, 8, 9), release=True)
    claim = UsageClaim(OWNER, b"r" * 32, (item, UsageItem(3, 1, 2, Usage(1))), (REF,))
    signed = sign_usage(b"\3" * 32, Domain.of_payments(1, OWNER), claim)
    assert SignedClaim.from_json(signed.to_json()) == signed
    assert signed.meter == address_of(b"\3" * 32)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"owner": 5}', '"x"'])
def test_other_files_are_not_stored_claims(text):
    with pytest.raises(BadInput, match="not a stored claim"):
        SignedClaim.from_json(text)


def test_bad_keys_are_refused_without_showing_them():
    for key in (b"", b"\0" * 32, b"secret-key-bytes"):
        with pytest.raises(BadInput) as refused:
            address_of(key)
        assert "secret" not in repr(refused.value)
