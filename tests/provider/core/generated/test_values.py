# SPDX-License-Identifier: Apache-2.0
"""Values that are made at random: their forms, kept once made, and made anew on an explicit word only."""

import re
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.manifests.spec.volume import KEY_TYPES, Generated
from trustedpods.protocol.errors import Refused
from trustedpods.provider.core.generated.key_pairs import private_key, public_key
from trustedpods.provider.core.generated.values import MadeFiles, with_generated

VALUES = {kind: Generated(type=kind, length=21) for kind in ("password", "hex", "bytes")}
KEYS = {kind: Generated(type=kind) for kind in sorted(KEY_TYPES)}


def made(wanted, *kept):
    return with_generated(wanted, kept, secrets.token_bytes)


@given(st.randoms(use_true_random=False))
def test_what_is_generated_has_its_form(source):
    files = with_generated(VALUES, [], source.randbytes).files
    assert {len(value) for value in files.values()} == {21}
    assert re.fullmatch(b"[A-Za-z0-9]+", files["password"])
    assert re.fullmatch(b"[0-9a-f]+", files["hex"])


def test_what_was_made_once_is_kept():
    first = made(VALUES | {"key": KEYS["ed25519"]})
    assert made(VALUES | {"key": KEYS["ed25519"]}, first) == first


def test_another_form_is_made_anew():
    kept = MadeFiles(dict.fromkeys(VALUES, b"no hex, 21 characters"))
    files = made(VALUES, kept).files
    assert files["bytes"] == kept.files["bytes"]
    assert files["hex"] != kept.files["hex"]
    assert files["password"] != kept.files["password"]
    shorter = {"hex": Generated(type="hex", length=8)}
    assert len(made(shorter, MadeFiles({"hex": b"0" * 9})).files["hex"]) == 8


def test_the_first_that_has_the_form_is_taken():
    """A hex value of its length is a password too, and not the one that was made first."""
    first, second = (MadeFiles(made({"key": VALUES[kind]}).files) for kind in ("password", "hex"))
    assert made({"key": VALUES["password"]}, first, second) == first
    assert made({"key": VALUES["bytes"]}, MadeFiles(), second) == second


def test_each_letter_of_a_password_is_as_likely():
    """Every byte once: of 256 the last 8 would make 8 letters likelier."""
    rounds = iter([bytes(range(256)), bytes(248)])
    form = {"p": Generated(type="password", length=256)}
    value = with_generated(form, [], lambda _: next(rounds)).files["p"][:248]
    assert {value.count(letter) for letter in value} == {4}


@pytest.mark.parametrize("kind", ["password", *sorted(KEY_TYPES)])
def test_a_higher_renewal_makes_it_anew_once(kind):
    first = made({"key": Generated(type=kind)})
    assert first.renewals == {}
    wanted = {"key": Generated(type=kind, renewal=2)}
    second = made(wanted, first)
    assert second.files["key"] != first.files["key"]
    assert second.renewals == {"key": 2}
    assert made(wanted, first, second) == second, "a start that is repeated, before it has proven itself"
    assert made(wanted, second) == second
    assert made({"key": Generated(type=kind, renewal=1)}, second) == second, "a lower one is no word for it"
    assert made({"key": Generated(type=kind)}, first, second) == first, (
        "the way back of an update that failed"
    )


@pytest.mark.parametrize("kind", sorted(KEY_TYPES))
def test_another_encoding_is_the_same_key(kind):
    first = made({"key": Generated(type=kind)})
    public = public_key(private_key(first.files["key"], kind))
    for encoding in ("pem", "base64", "hex"):
        other = made({"key": Generated(type=kind, encoding=encoding)}, first).files["key"]
        assert public_key(private_key(other, kind)) == public


def test_a_key_is_never_made_in_the_place_of_what_is_none_of_its_type():
    first = made({"key": Generated(type="ed25519", encoding="pem")})
    with pytest.raises(Refused, match="no secp256k1 key: another one takes `renewal: 1`") as caught:
        made({"key": KEYS["secp256k1"]}, first)
    assert caught.value.rule == "generated-key"
    anew = made({"key": Generated(type="secp256k1", renewal=1)}, first)
    assert private_key(anew.files["key"], "secp256k1") is not None


@pytest.mark.parametrize("encoding", ["hex", "base64"])
@pytest.mark.parametrize("kind", sorted(KEY_TYPES))
def test_bytes_that_say_no_type_are_not_taken_for_a_key_of_another_one(kind, encoding):
    first = made({"key": Generated(type=kind, encoding=encoding)})
    for other in sorted(KEY_TYPES - {kind}):
        with pytest.raises(Refused, match=f"kept as key is no {other} key: another one takes") as caught:
            made({"key": Generated(type=other, encoding=encoding)}, first)
        assert caught.value.rule == "generated-key"
    unnoted = MadeFiles(first.files)
    assert made({"key": Generated(type=kind, encoding=encoding)}, unnoted) == first, (
        "as an older daemon kept it"
    )
    length = len(first.files["key"])
    assert made({"key": Generated(type="bytes", length=length)}, first).files == first.files
