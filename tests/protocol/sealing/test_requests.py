# SPDX-License-Identifier: Apache-2.0
import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol import limits
from trustedpods.protocol.codec import decode
from trustedpods.protocol.envelopes import SignedRequest
from trustedpods.protocol.errors import (
    BadInput,
    LocalProtocolError,
    Refused,
    RemoteProtocolError,
    TrustedPodsError,
)
from trustedpods.protocol.ids import PodRef, address_bytes, address_from_bytes, keccak256
from trustedpods.protocol.messages.pod import LogsBody
from trustedpods.protocol.messages.verbs import Verb
from trustedpods.protocol.sealing import hpke
from trustedpods.protocol.sealing.requests import (
    ChainContext,
    OpenedRequest,
    open_request,
    publisher_secret,
    request_digest,
    request_info,
    sign_request,
)
from trustedpods.protocol.sealing.signatures import address_of
from trustedpods.protocol.sealing.subjects import NetworkRef, Subject

NOW = 1_800_000_000
KEY = b"\x11" * 32
STRANGER = b"\x12" * 32
OWNER = address_from_bytes(b"\x0c" * 20)
CHAIN = ChainContext(31337, address_from_bytes(b"\x0b" * 20))
REF = PodRef(OWNER, address_of(KEY), b"\x05" * 32)
MACHINE = hpke.PrivateKey.from_bytes(bytes(range(96)))
BOOT = b"\x02" * 32
REPLY_TO = hpke.PrivateKey.generate().public_bytes
BODY = LogsBody(tail=7)


def signed(
    key: bytes = KEY,
    ref: Subject = REF,
    chain: ChainContext = CHAIN,
    expiry: int = NOW + 60,
    verb: Verb = "logs",
) -> SignedRequest:
    return sign_request(
        key,
        chain,
        ref,
        verb,
        BODY,
        hpke_key=MACHINE.public_bytes,
        boot_id=BOOT,
        generation=42,
        expiry=expiry,
        nonce=b"\x01" * 32,
        reply_to=REPLY_TO,
    )


REQUEST = signed()


def opened(request: SignedRequest = REQUEST, **changes) -> OpenedRequest:
    expected = {"chain": CHAIN, "owner": OWNER, "boot_id": BOOT, "hpke": MACHINE, "now": NOW}
    return open_request(request, **(expected | changes))


def rule_of(request: SignedRequest = REQUEST, **changes) -> str | None:
    with pytest.raises(TrustedPodsError) as error:
        opened(request, **changes)
    assert isinstance(error.value, Refused | RemoteProtocolError)
    return error.value.rule


def resigned(request: SignedRequest) -> bytes:
    """The publisher's signature over a request that somebody put together."""
    return bytes(Account.unsafe_sign_hash(request_digest(request, CHAIN), KEY).signature)


class TestGood:
    def test_it_opens(self):
        found = opened()
        assert decode(found.body, LogsBody) == BODY
        assert (found.verb, found.ref, found.generation) == ("logs", REF, 42)
        assert found.publisher == found.signer == address_of(KEY)
        assert (found.nonce, found.expiry) == (b"\x01" * 32, NOW + 60)
        assert found.reply_to == REPLY_TO

    def test_what_a_body_is_bound_to_is_frozen(self):
        assert request_info("logs", REF, 42, NOW + 60).hex() == (
            "747275737465642d706f64732f726571756573742f76310004"
            "6c6f6773"
            "19e7e376e7c213b7e7e7e46cc70a5dd086daff2a"
            "7ab4fdc3b2e450554f7233b743cffbe383ff8921b1fa6a3e"
            "000000000000002a"
            "000000006b49d23c"
        )

    def test_its_digest_is_what_both_sides_know(self):
        assert opened().digest == request_digest(REQUEST, CHAIN)

    def test_the_digest_is_that_of_the_documented_typed_data(self):
        """As any wallet would show and hash it, from the full document."""
        names = {
            "verb": "string",
            "owner": "address",
            "publisher": "address",
            "salt": "bytes32",
            "generation": "uint64",
            "expiry": "uint64",
            "nonce": "bytes32",
            "bootId": "bytes32",
            "sealedHash": "bytes32",
            "replyToHash": "bytes32",
        }
        domain = {"name": "string", "version": "string", "chainId": "uint256", "verifyingContract": "address"}
        document = {
            "types": {
                "EIP712Domain": [{"name": name, "type": kind} for name, kind in domain.items()],
                "Request": [{"name": name, "type": kind} for name, kind in names.items()],
            },
            "primaryType": "Request",
            "domain": {
                "name": "Trusted Pods",
                "version": "1",
                "chainId": 31337,
                "verifyingContract": CHAIN.payments,
            },
            "message": {
                "verb": "logs",
                "owner": OWNER,
                "publisher": REF.publisher,
                "salt": REF.salt,
                "generation": 42,
                "expiry": NOW + 60,
                "nonce": b"\x01" * 32,
                "bootId": BOOT,
                "sealedHash": keccak256(REQUEST.sealed),
                "replyToHash": keccak256(REPLY_TO),
            },
        }
        typed = encode_typed_data(full_message=document)
        assert keccak256(b"\x19\x01" + typed.header + typed.body) == request_digest(REQUEST, CHAIN)
        assert Account.recover_message(typed, signature=REQUEST.signature) == REF.publisher

    def test_a_clock_a_little_ahead_is_forgiven(self):
        opened(signed(expiry=NOW + limits.REQUEST_LIFETIME_S + limits.CLOCK_SKEW_S))


class TestRefused:
    def test_for_another_provider(self):
        assert rule_of(owner=address_from_bytes(b"\x0d" * 20)) == "owner"

    def test_for_another_boot(self):
        assert rule_of(boot_id=bytes(32)) == "boot-id"

    def test_on_another_market(self):
        assert rule_of(chain=ChainContext(1, CHAIN.payments)) == "signer"
        assert rule_of(chain=ChainContext(31337, OWNER)) == "signer"

    @pytest.mark.parametrize("now", [NOW + 60, NOW + 61, NOW + 10**9])
    def test_too_late(self, now):
        assert rule_of(now=now) == "expired"

    def test_living_too_long(self):
        longest = NOW + limits.REQUEST_LIFETIME_S + limits.CLOCK_SKEW_S
        assert rule_of(signed(expiry=longest + 1)) == "expiry-too-far"
        assert rule_of(signed(expiry=(1 << 64) - 1)) == "expiry-too-far"

    @pytest.mark.parametrize(
        "change",
        [
            {"verb": "delete"},
            {"publisher": b"\x0e" * 20},
            {"salt": bytes(32)},
            {"generation": 43},
            {"expiry": NOW + 61},
            {"nonce": bytes(32)},
            {"reply_to": hpke.PrivateKey.generate().public_bytes},
            {"sealed": REQUEST.sealed[:-1]},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_every_field_is_signed(self, change):
        assert rule_of(REQUEST.model_copy(update=change)) == "signer"

    def test_signed_by_a_stranger(self):
        stranger = PodRef(OWNER, address_of(STRANGER), REF.salt)
        forged = signed(STRANGER, stranger).model_copy(update={"publisher": address_bytes(REF.publisher)})
        assert rule_of(forged) == "signer"

    @pytest.mark.parametrize(
        "signature",
        [
            bytes(65),
            b"\xff" * 65,
            bytes(64) + b"\x1b",
            REQUEST.signature[:64] + b"\x00",
            REQUEST.signature[:64] + b"\x1d",
        ],
        ids=["zeros", "ones", "zero-scalars", "no-parity", "unknown-parity"],
    )
    def test_a_malformed_signature(self, signature):
        assert rule_of(REQUEST.model_copy(update={"signature": signature})) == "signature"

    def test_the_other_form_of_a_good_signature(self):
        order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
        r, s, v = (
            REQUEST.signature[:32],
            int.from_bytes(REQUEST.signature[32:64], "big"),
            REQUEST.signature[64],
        )
        twin = r + (order - s).to_bytes(32, "big") + bytes([55 - v])
        assert rule_of(REQUEST.model_copy(update={"signature": twin})) == "signature"

    def test_about_a_network(self):
        """Any member signs. What was sealed about a pod opens as nothing else."""
        network = NetworkRef(OWNER, REF.publisher, REF.salt)
        found = opened(signed(STRANGER, ref=network, verb="network"))
        assert (found.subject, found.signer) == (network, address_of(STRANGER))
        with pytest.raises(LocalProtocolError):
            _ = found.ref
        request = REQUEST.model_copy(update={"verb": "network"})
        assert rule_of(request.model_copy(update={"signature": resigned(request)})) == "sealed"

    def test_sealed_to_another_machine(self):
        assert rule_of(hpke=hpke.PrivateKey.generate()) == "sealed"

    def test_a_body_taken_from_another_request(self):
        """A publisher's own signature does not move a body to another verb, pod or generation."""
        for change in ({"verb": "status"}, {"salt": bytes(32)}, {"generation": 43}, {"expiry": NOW + 61}):
            moved = REQUEST.model_copy(update=change)
            assert rule_of(moved.model_copy(update={"signature": resigned(moved)})) == "sealed"

    @given(st.binary(min_size=65, max_size=65))
    def test_random_signatures(self, signature):
        assert rule_of(REQUEST.model_copy(update={"signature": signature})) in ("signature", "signer")


class TestSubjects:
    def test_a_verb_has_one_kind_of_subject(self):
        with pytest.raises(LocalProtocolError):
            signed(ref=NetworkRef(OWNER, REF.publisher, REF.salt))
        with pytest.raises(LocalProtocolError):
            signed(verb="network")


class TestKeys:
    def test_only_the_publishers_key_signs(self):
        with pytest.raises(LocalProtocolError):
            signed(STRANGER)

    def test_the_secret_is_frozen(self):
        """Salts and blob keys come from it: another value would lose every pod."""
        assert (
            publisher_secret(KEY).hex() == "e4867c8e4bcdeb675596c3a62c7aab06e699ac9b3c964fcbae50767bacfbd579"
        )

    def test_each_key_has_its_own_secret(self):
        assert publisher_secret(KEY) != publisher_secret(STRANGER)

    @pytest.mark.parametrize("raw", [b"", bytes(32), b"\xff" * 32, b"x" * 31, b"x" * 33])
    def test_what_is_no_key(self, raw):
        with pytest.raises(BadInput):
            address_of(raw)

    def test_an_address_is_ethereums(self):
        assert address_of((1).to_bytes(32, "big")) == "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"
