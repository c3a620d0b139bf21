# SPDX-License-Identifier: Apache-2.0
"""A policy that demands a signer, as a person meets it: refused before money moves, taken once signed."""

import pytest

from tests.fakes.images.oci_images import ImageFiles
from tests.fakes.images.signed import KeySigner, under_tag
from tests.publisher.commands.images.test_registry_images import registry
from tests.publisher.test_cli import cli

__all__ = ["cli", "registry"]

POLICY = """
version = 1
trust = ["sealed"]
accept = ["simulated"]
max_evidence_bytes = 65536
config_digests = "any"

[[simulated]]
chain_id = {chain_id}
registry = "{registry}"
payments = "{payments}"
measurements = "market"

[[image_signers]]
name = "release team"
images = ["{image}"]
keys = ['''
{key}''']
"""


@pytest.fixture
def key():
    return KeySigner()


@pytest.fixture
def policy(bench, registry, key):
    market, path = bench.account.market.file, bench.folder / "signed.toml"
    where = {"chain_id": market.chain_id, "registry": market.registry, "payments": market.payments}
    path.write_text(POLICY.format(image=f"{registry.host}/team/*", key=key.pem, **where))
    return path


async def test_an_unsigned_image_costs_nothing_and_a_signed_one_is_deployed(
    cli, bench, registry, policy, key
):
    file = bench.folder / "pod.yaml"
    async with bench.peer().serve() as peer:
        refused = await cli("deploy", file, "--policy", policy)
        assert refused.exit_code == 6, refused.output
        assert "[image-signer]" in refused.stderr
        assert "pod.yaml:" in refused.stderr
        assert not peer.log
        digest = registry.tags["1"][0]
        under_tag(registry, digest, key.simple_layer(digest))
        done = await cli("deploy", file, "--policy", policy)
    assert done.exit_code == 0, done.output
    assert f"{registry.host}/team/app:1 is signed by release team" in done.stderr


async def test_a_rollback_asks_for_the_signature_again(cli, bench, registry, policy, key):
    file = bench.folder / "pod.yaml"
    async with bench.peer().serve():
        for content in (b"first", b"second"):
            digest = registry.put(ImageFiles(layers=(content,)))
            under_tag(registry, digest, key.simple_layer(digest))
            done = await cli("deploy", file, "--policy", policy, "--yes")
            assert done.exit_code == 0, done.output
        first = next(tag for tag in registry.tags if tag.endswith(".sig"))
        withdrawn = registry.tags.pop(first)
        refused = await cli("rollback", "hello", "--yes")
        assert (refused.exit_code, "[image-signer]" in refused.stderr) == (6, True), refused.output
        registry.tags[first] = withdrawn
        done = await cli("rollback", "hello", "--yes")
    assert done.exit_code == 0, done.output
