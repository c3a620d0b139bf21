# SPDX-License-Identifier: Apache-2.0
"""A policy that pins an image and a configuration, as a person meets it: others end with code 9."""

import json

import pytest

from tests.publisher.test_cli import cli
from trustedpods.protocol.attestation.simulated import SimulatedSigner

__all__ = ["cli"]

IMAGE, CHANGED = b"\x1a" * 48, b"\x1b" * 48
CONFIGURATION = bytes(32)
"""What the peers of these tests attest."""

POLICY = """
version = 1
trust = ["sealed"]
accept = ["simulated"]
max_evidence_bytes = 65536
config_digests = ["{configuration}"]

[[simulated]]
chain_id = {chain_id}
registry = "{registry}"
payments = "{payments}"
measurements = ["{measurement}"]
"""


@pytest.fixture
def policy(bench):
    """Writes one that takes *IMAGE* with this configuration."""
    market, path = bench.account.market.file, bench.folder / "pinned.toml"
    where = {"chain_id": market.chain_id, "registry": market.registry, "payments": market.payments}

    def write(configuration=CONFIGURATION):
        path.write_text(POLICY.format(measurement=IMAGE.hex(), configuration=configuration.hex(), **where))
        return path

    return write


def machine(bench, measurement):
    peer = bench.peer()
    peer.signer = SimulatedSigner(bench.root.machine_pem, measurement)
    return peer


async def deployed(cli, bench, path):
    words = ["deploy", bench.folder / "pod.yaml", "--deposit", 2, "--policy", path, "-o", "json"]
    return await cli(*words)


async def test_what_the_policy_pins_is_taken(cli, bench, policy):
    async with machine(bench, IMAGE).serve() as peer:
        done = await deployed(cli, bench, policy())
    assert done.exit_code == 0, done.output
    trust = json.loads(done.stdout)["trust"]
    assert (trust["class"], trust["simulated"]) == ("sealed", True)
    assert {"measurement", "config-digest"} <= {*trust["checks"]}
    assert "admit" in peer.log


async def test_another_image_is_sent_nothing(cli, bench, policy):
    async with machine(bench, CHANGED).serve() as peer:
        done = await deployed(cli, bench, policy())
    assert done.exit_code == 9, done.output
    error = json.loads(done.stdout)["error"]
    assert error["rule"] == "measurement"
    assert "the launched guest 1b1b1b1b1b1b1b1b... is not one that the policy lists" in error["what"]
    assert peer.log == ["attest"]
    assert bench.chain.log == []


async def test_another_configuration_is_sent_nothing(cli, bench, policy):
    async with machine(bench, IMAGE).serve() as peer:
        done = await deployed(cli, bench, policy(b"\x01" * 32))
    assert done.exit_code == 9, done.output
    error = json.loads(done.stdout)["error"]
    assert error["rule"] == "config-digest"
    assert (
        "the provider's configuration 0000000000000000... is not one that the policy lists" in error["what"]
    )
    assert peer.log == ["attest"]
    assert bench.chain.log == []


@pytest.mark.parametrize("listed", [True, False])
async def test_the_markets_own_file_says_which_image_counts_where_no_policy_is_named(cli, bench, listed):
    market = bench.folder / "market.toml"
    market.write_text(f'{market.read_text()}measurements = ["{(IMAGE if listed else CHANGED).hex()}"]\n')
    async with machine(bench, IMAGE).serve():
        done = await cli("deploy", bench.folder / "pod.yaml", "--deposit", 2)
    assert done.exit_code == (0 if listed else 9), done.output


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('measurements = ["1a"]', "not 96 hexadecimal digits"),
        ("measurements = 1", "is a list of at most 16 digests"),
        (f"measurements = {['1a' * 48] * 17}", "is a list of at most 16 digests"),
        ('image = "x"', "and maybe measurements, nothing else"),
    ],
)
async def test_a_market_file_with_other_measurements_is_refused(cli, bench, line, words):
    market = bench.folder / "market.toml"
    market.write_text(f"{market.read_text()}{line}\n")
    done = await cli("deploy", bench.folder / "pod.yaml", "--deposit", 2)
    assert done.exit_code == 2, done.output
    assert words in done.output
