# SPDX-License-Identifier: Apache-2.0
"""The maker of release files: what follows what, and that it writes nothing that a client would refuse."""

import importlib.util
import json
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.paths import ROOT
from tests.protocol.attestation.releases.signed import (
    FIRST,
    PAIR,
    SECOND,
    STRANGER,
    THIRD,
    image,
    public,
    shape,
    withdrawn,
)
from trustedpods.protocol.attestation.releases.file import read_release
from trustedpods.protocol.attestation.releases.keys import sign_succession
from trustedpods.protocol.attestation.releases.order import check_follows
from trustedpods.protocol.errors import BadInput, Refused

STEP = sign_succession(public(SECOND), public(THIRD), FIRST).model_dump()


def _load():
    path = ROOT / "deploy" / "release" / "measurements.py"
    spec = importlib.util.spec_from_file_location("measurements", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


measurements = _load()


def draft(*images: dict, **more) -> bytes:
    times = {"made_at": "2026-12-01T00:00:00Z", "not_after": "2027-03-01T00:00:00Z"}
    return json.dumps(times | {"images": list(images)} | more).encode()


def test_each_file_follows_the_one_before_it():
    first = measurements.next_file(draft(image()), None, FIRST, PAIR)
    held = draft(image(withdrawn=withdrawn()), image("0.3.0", [shape("22")]))
    second = measurements.next_file(held, first, SECOND, PAIR)
    third = measurements.next_file(draft(successions=[STEP]), second, THIRD, PAIR)
    fourth = measurements.next_file(draft(image("0.4.0", [shape("33")])), third, FIRST, PAIR)
    files = [read_release(raw, "m", PAIR) for raw in (first, second, third, fourth)]
    assert [one.number for one in files] == [1, 2, 3, 4]
    assert [one.version for one in files[1].trusted_images] == ["0.3.0"]
    assert files[3].successions == files[2].successions
    assert [(one.version, one.withdrawn is None) for one in files[2].images] == [("0.2.0", False)]
    assert files[3].images == [*files[2].images, files[3].images[1]]
    for older, newer in pairwise(files):
        check_follows(older, newer, "m")


def test_nothing_is_made_that_no_client_would_take():
    first = measurements.next_file(draft(image()), None, FIRST, PAIR)
    for text, before, key, why in (
        (draft(image()), first, STRANGER, "no release key"),
        (draft(image()), first, THIRD, "no release key"),
        (draft(successions=[STEP]), first, SECOND, "no release key"),
        (draft(image()), first.replace(b"0.2.0", b"0.2.1"), FIRST, "was changed"),
        (draft(image(snp=[])), first, FIRST, "without a measurement"),
        (draft(image(), number=7, version=2, before=[])[:-1], first, FIRST, "not JSON"),
        (b"[]", first, FIRST, "not an object"),
        (draft(image(), more=1), first, FIRST, "more"),
    ):
        with pytest.raises((BadInput, Refused), match=why):
            measurements.next_file(text, before, key, PAIR)


def test_a_withdrawal_stays_until_it_may_be_forgotten():
    gone = image(withdrawn=withdrawn())
    first = measurements.next_file(draft(gone, image("0.3.0", [shape("22")])), None, FIRST, PAIR)
    for changed in (image(), image("0.4.0"), gone | {"snp": [shape("44")]}):
        with pytest.raises(BadInput, match=r"the draft: image 0\.2\.0 was withdrawn on 2026-12-24") as error:
            measurements.next_file(draft(changed), first, FIRST, PAIR)
        assert "carried on" in error.value.hint
    other = gone | {"withdrawn": withdrawn("the reason, in better words")}
    assert made(draft(other), first).images[0].withdrawn.reason == "the reason, in better words"
    times = {"made_at": "2027-12-24T09:59:59Z", "not_after": "2028-03-01T00:00:00Z"}
    assert [one.version for one in made(draft(**times), first).images] == ["0.2.0"]
    times = {"made_at": "2027-12-24T10:00:00Z", "not_after": "2028-03-01T00:00:00Z"}
    assert made(draft(**times), first).images == []


def made(text: bytes, before: bytes):
    return read_release(measurements.next_file(text, before, FIRST, PAIR), "m", PAIR)


def test_the_command(tmp_path, monkeypatch, capsys):
    (tmp_path / "draft").write_bytes(draft(image()))
    words = [str(tmp_path / "draft")]
    monkeypatch.delenv("RELEASE_KEY", raising=False)
    assert measurements.main(words, PAIR) == 2
    assert "$RELEASE_KEY: it names no file" in capsys.readouterr().err
    key = tmp_path / "key.pem"
    key.write_bytes(FIRST.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    monkeypatch.setenv("RELEASE_KEY", str(key))
    assert measurements.main(words, PAIR) == 0
    made = capsys.readouterr().out
    assert read_release(made.encode(), "m", PAIR).number == 1
    assert measurements.main(words, ()) == 2
    assert "knows no release keys" in capsys.readouterr().err
    assert measurements.main([], PAIR) == 2
    assert measurements.main([str(tmp_path / "none")], PAIR) == 2
