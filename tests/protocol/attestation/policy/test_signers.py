# SPDX-License-Identifier: Apache-2.0
"""`[[image_signers]]` of a policy: who must have signed which images, and mistakes with their lines."""

import pytest

from tests.fakes.images.signed import KeySigner
from tests.protocol.attestation.policy.test_file import HEAD, LOCALNET
from trustedpods.protocol.attestation.policy.file import parse_policy
from trustedpods.protocol.attestation.policy.signers import ImageSigner
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.references import parse_reference
from trustedpods.protocol.images.signatures import parse_signer_key

PEM = KeySigner().pem
FILE = HEAD.replace('["sev-snp", "tdx", "simulated"]', '["simulated"]') + LOCALNET


def table(name='"release team"', images='"any"', keys=f"['''\n{PEM}''']"):
    return f"{FILE}\n[[image_signers]]\nname = {name}\nimages = {images}\nkeys = {keys}\n"


def test_a_policy_without_signers_demands_none():
    assert parse_policy(FILE, "p.toml").image_signers == ()


def test_what_the_table_says():
    policy = parse_policy(table(images='["ghcr.io/team/*", "docker.io/library/redis"]'), "p.toml")
    names = ("ghcr.io/team/*", "docker.io/library/redis")
    (signer,) = policy.image_signers
    assert signer == ImageSigner("release team", names, (parse_signer_key(PEM),))
    for name, wanted in {
        "redis:7": True,
        "ghcr.io/team/a/b@sha256:" + "ab" * 32: True,
        "ghcr.io/team": False,
        "ghcr.io/teams/a": False,
        "docker.io/library/redis2": False,
    }.items():
        assert signer.is_for(parse_reference(name)) == wanted
    assert not signer.is_for(None)
    (anybody,) = parse_policy(table(), "p.toml").image_signers
    assert anybody.is_for(None)


@pytest.mark.parametrize("host", ["ghcr.io", "docker.io", "localhost:5000"])
def test_all_of_a_registry(host):
    (signer,) = parse_policy(table(images=f'["{host}/*"]'), "p.toml").image_signers
    assert signer.is_for(parse_reference(f"{host}/a:1"))
    assert signer.is_for(parse_reference(f"{host}/a/b:1"))
    assert not signer.is_for(parse_reference("registry.example.org/a:1"))


@pytest.mark.parametrize(
    ("given", "line", "told"),
    [
        ({"name": '""'}, 14, "image_signers.1.name"),
        ({"images": "[]"}, 15, "an empty list"),
        ({"images": '["redis"]'}, 15, "write it in full: docker.io/library/redis"),
        ({"images": '["team/*"]'}, 15, r"write it in full: docker.io/team/\*"),
        ({"images": '["ghcr.io/Team/*"]'}, 15, "not HOST/REPOSITORY"),
        ({"images": '["ghcr.io/a", "ghcr.io/a"]'}, 15, "twice"),
        ({"keys": "[]"}, 16, "an empty list"),
        ({"keys": '["cosign.pub"]'}, 16, "not a public key in PEM"),
        ({"keys": f"['''\n{PEM}''']\nissuer = 'x'"}, None, "unknown field"),
    ],
)
def test_mistakes_are_named_with_their_line(given, line, told):
    with pytest.raises(BadInput, match=told) as caught:
        parse_policy(table(**given), "p.toml")
    if line is not None:
        assert caught.value.where == f"p.toml:{line}"
