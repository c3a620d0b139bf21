# SPDX-License-Identifier: Apache-2.0
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trustedpods.protocol.codec import decode
from trustedpods.protocol.envelopes import SealedReply
from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.protocol.messages.pod import Endpoint, LogLines, Statement
from trustedpods.protocol.messages.provider import Figures, Prices
from trustedpods.protocol.sealing import hpke
from trustedpods.protocol.sealing.replies import (
    open_reply,
    seal_reply,
    sign_figures,
    sign_statement,
    verify_figures,
    verify_statement,
)

SIGNING = Ed25519PrivateKey.from_private_bytes(b"\x05" * 32)
REPLY_KEY = SIGNING.public_key().public_bytes_raw()
STRANGER = Ed25519PrivateKey.from_private_bytes(b"\x06" * 32)
PRIVATE = hpke.PrivateKey.generate()
REQUEST = b"\x07" * 32
BODY = LogLines(container="web", data=b"hello\n")


def reply(sequence: int = 3, *, final: bool = False, key: Ed25519PrivateKey = SIGNING) -> SealedReply:
    return seal_reply(key, PRIVATE.public_bytes, REQUEST, sequence, final, BODY)


def rule_of(sealed: SealedReply, *, request: bytes = REQUEST, sequence: int = 3) -> str | None:
    with pytest.raises(RemoteProtocolError) as error:
        open_reply(sealed, REPLY_KEY, PRIVATE, request, sequence)
    return error.value.rule


@pytest.mark.parametrize("final", [False, True])
def test_a_reply_opens(final):
    body, last = open_reply(reply(final=final), REPLY_KEY, PRIVATE, REQUEST, 3)
    assert decode(body, LogLines) == BODY
    assert last is final


def test_a_relay_reads_nothing():
    assert BODY.data not in reply().sealed


@pytest.mark.parametrize("sequence", [0, 2, 4])
def test_out_of_order_is_refused(sequence):
    assert rule_of(reply(sequence)) == "reply-sequence"
    assert rule_of(reply(sequence).model_copy(update={"sequence": 3})) == "reply-signature"


def test_a_reply_to_another_request_is_refused():
    assert rule_of(reply(), request=bytes(32)) == "reply-signature"


def test_an_end_cannot_be_forged_or_hidden():
    assert rule_of(reply().model_copy(update={"final": True})) == "reply-signature"
    assert rule_of(reply(final=True).model_copy(update={"final": False})) == "reply-signature"


def test_changed_content_is_refused():
    changed = reply().sealed[:-1] + b"\0"
    assert rule_of(reply().model_copy(update={"sealed": changed})) == "reply-signature"
    assert rule_of(reply().model_copy(update={"sealed": b""})) == "reply-signature"


def test_another_signer_is_refused():
    assert rule_of(reply(key=STRANGER)) == "reply-signature"


def test_a_key_that_is_none_is_refused():
    with pytest.raises(RemoteProtocolError):
        open_reply(reply(), b"\xff" * 31, PRIVATE, REQUEST, 3)


def test_only_the_requests_key_opens():
    with pytest.raises(RemoteProtocolError) as error:
        open_reply(reply(), REPLY_KEY, hpke.PrivateKey.generate(), REQUEST, 3)
    assert error.value.rule == "sealed"


def test_nothing_is_sealed_to_what_is_no_key():
    with pytest.raises(RemoteProtocolError) as error:
        seal_reply(SIGNING, b"short", REQUEST, 0, True, BODY)
    assert error.value.rule == "hpke-key"


STATEMENT = Statement(
    channel=b"\x01" * 24,
    generation=5,
    namespace="tp-pabc-5",
    endpoints=[Endpoint(service="web", port=80, url="http://pabc.k1.market.localhost:18080")],
    images={"web": "sha256:" + "a" * 64},
    terms=1 << 200,
    meter=b"\x02" * 20,
    issued_at=1_800_000_000,
)


def test_a_statement_verifies_for_anybody_with_the_reply_key():
    assert verify_statement(sign_statement(SIGNING, STATEMENT), REPLY_KEY) == STATEMENT


def test_a_changed_or_foreign_statement_is_refused():
    signed = sign_statement(SIGNING, STATEMENT)
    other = sign_statement(STRANGER, STATEMENT)
    newer = sign_statement(SIGNING, STATEMENT.model_copy(update={"generation": 6}))
    moved = signed.model_copy(update={"statement": newer.statement})
    for bad in (other, moved, signed.model_copy(update={"signature": bytes(64)})):
        with pytest.raises(RemoteProtocolError) as error:
            verify_statement(bad, REPLY_KEY)
        assert error.value.rule == "reply-signature"


FIGURES = Figures(
    owner=bytes(20),
    daemon=1,
    trust="open",
    simulated=False,
    region="eu",
    domain="k1.example.org",
    token=bytes(20),
    prices=Prices(cpu_core_ms=1, memory_mib_s=1, storage_mib_s=1, egress_kib=1, ingress_kib=1, scale=64),
    capabilities=["expose: http"],
    profile_digest=bytes(32),
    at=1_700_000_000,
    days=30,
    counted_s=100,
    up_s=99,
    cold_starts=3,
    cold_start_ms=900,
    half_within_ms=300,
    nine_of_ten_within_ms=None,
)


def test_figures_verify_for_anybody_with_the_reply_key():
    assert verify_figures(sign_figures(SIGNING, FIGURES), REPLY_KEY) == FIGURES


def test_figures_that_were_changed_or_signed_by_another_or_as_a_statement_are_refused():
    signed, better = sign_figures(SIGNING, FIGURES), FIGURES.model_copy(update={"up_s": 100})
    moved = signed.model_copy(update={"figures": sign_figures(SIGNING, better).figures})
    as_statement = signed.model_copy(update={"signature": sign_statement(SIGNING, STATEMENT).signature})
    for bad in (moved, sign_figures(STRANGER, FIGURES), as_statement):
        with pytest.raises(RemoteProtocolError) as error:
            verify_figures(bad, REPLY_KEY)
        assert error.value.rule == "reply-signature"
