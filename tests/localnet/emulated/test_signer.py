# SPDX-License-Identifier: Apache-2.0
"""A wrong machine does not attest: the host's signer says what it measured, and a publisher's client refuses.

No machine is started here: which of them stop in the initrd, tests/deploy/guest_image/test_boot.py shows.
"""

import io
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.localnet.emulated import outside
from tests.localnet.emulated.test_boot_files import ROOT_BYTES, rooted
from tests.localnet.emulated.test_units import settings
from tests.protocol.attestation.evidence import BINDING, NONCE, PEER_ID, REPLY_KEY
from trustedpods.contracts.records import Market
from trustedpods.localnet.emulated import boot_files, files, signer
from trustedpods.localnet.folders import save_settings
from trustedpods.localnet.market.files import machine_file, market_file
from trustedpods.localnet.settings import Settings
from trustedpods.localnet.toml_text import toml_text
from trustedpods.protocol.attestation.profile import present
from trustedpods.protocol.attestation.report_data import report_data
from trustedpods.protocol.attestation.saved import SavedEvidence
from trustedpods.protocol.attestation.simulated import SimulatedRoot
from trustedpods.protocol.codec import decode
from trustedpods.protocol.evidence import Evidence, KeyBinding
from trustedpods.protocol.ids import Address
from trustedpods.provider.tee.simulated_processor import ANSWER_LIMIT_S, LENGTH
from trustedpods.publisher.cli import main

SOMEBODY = Address("0x52908400098527886E0F7030069857D2E4169EE7")


@pytest.fixture
def made(tmp_path: Path) -> Settings:
    """A localnet's files with its root, and the measurement of its image in the market's file."""
    found = settings(tmp_path, 1)
    assert found.guest is not None
    rooted(found.guest, ROOT_BYTES)
    found.state.mkdir()
    save_settings(found)
    root = SimulatedRoot.make(found.chain_id, SOMEBODY, SOMEBODY, datetime.now(UTC))
    machine_file(found.state).write_text(root.machine_pem)
    market = Market(chain_id=found.chain_id, payments=SOMEBODY, registry=SOMEBODY, token=SOMEBODY)
    listed = {"root": root.chain_pem, "measurements": [boot_files.measured(found.guest).hex()]}
    table = {"rpc": "http://127.0.0.1:1", **vars_of(market), "simulated": listed}
    market_file(found.state).write_text(toml_text(table))
    return found


def vars_of(market: Market) -> dict[str, object]:
    names = ("chain_id", "payments", "registry", "token", "finality_blocks")
    return {name: getattr(market, name) for name in names}


def launched(made: Settings) -> list[str]:
    """As `launch` does it; how the machine that would run now has its signer started."""
    words = files.machine_words(made, made.all_clusters()[0])
    (net,) = [word for word in words if word.startswith("user,")]
    return shlex.split(net.partition("-cmd:")[2].replace(",,", ","))


def booted(made: Settings) -> bytes:
    """The measurement of what would run now."""
    launched(made)
    return boot_files.measurement(files.boot_folder(made.all_clusters()[0]))


def attest(
    made: Settings, policy: str, binding: KeyBinding = BINDING, signer: list[str] | None = None
) -> Result:
    """The machine, which is launched now, asks its *signer*; `trustedpods attest` judges the answer."""
    done = subprocess.run(
        signer or launched(made),
        input=report_data(NONCE, binding), capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    size = LENGTH.unpack(done.stdout[: LENGTH.size])[0]
    assert len(done.stdout) == LENGTH.size + size
    evidence = decode(done.stdout[LENGTH.size :], Evidence)
    attested = present(NONCE, evidence, binding, b"a profile", REPLY_KEY)
    saved = SavedEvidence(f"{SOMEBODY}/1", datetime.now(UTC), NONCE, PEER_ID, attested)
    path = made.state / "evidence.json"
    path.write_text(saved.to_json())
    words = ["attest", str(path), "--policy", policy, "--market", str(market_file(made.state))]
    return CliRunner().invoke(main, words, env=os.environ | {"HOME": str(made.state)})


def changed_root(made: Settings) -> None:
    """One byte, and the command line and initrd that go with it: the machine boots."""
    assert made.guest is not None
    rooted(made.guest, ROOT_BYTES[:5000] + b"\xff" + ROOT_BYTES[5001:])


def changed_word(made: Settings) -> None:
    assert made.guest is not None
    line = made.guest / "cmdline"
    line.write_text(line.read_text().replace("lockdown=confidentiality", "lockdown=integrity"))


def changed_initrd(made: Settings) -> None:
    assert made.guest is not None
    (made.guest / "initrd.img").write_bytes(b"another program")


def test_the_image_that_the_policy_pins_attests(made: Settings) -> None:
    pinned = outside.policy(made, booted(made), BINDING.config_digest.hex())
    accepted = attest(made, pinned)
    assert accepted.exit_code == 0, accepted.output
    assert "SIMULATED" in accepted.output


@pytest.mark.parametrize("change", [changed_root, changed_word, changed_initrd])
def test_a_changed_machine_is_refused_by_its_measurement(
    made: Settings, change: Callable[[Settings], None]
) -> None:
    pinned = outside.policy(made, booted(made), BINDING.config_digest.hex())
    change(made)
    measured = booted(made)
    refused = attest(made, pinned)
    assert refused.exit_code == 9, refused.output
    assert f"the launched guest {measured.hex()[:16]}... is not one that the policy lists" in refused.output


def test_what_the_markets_own_file_lists_is_the_image_of_its_making(made: Settings) -> None:
    own = Path(outside.policy(made, booted(made)))
    listed = own.read_text().partition("measurements = ")[0] + 'measurements = "market"\n'
    own.write_text(listed)
    assert attest(made, str(own)).exit_code == 0
    changed_word(made)
    assert attest(made, str(own)).exit_code == 9


def test_a_machine_that_still_runs_stays_what_it_is_when_another_is_launched(made: Settings) -> None:
    measured, before = booted(made), launched(made)
    changed_word(made)
    assert attest(made, outside.policy(made, booted(made)), signer=before).exit_code == 9
    assert attest(made, outside.policy(made, measured), signer=before).exit_code == 0


def test_who_asks_nothing_keeps_no_process_of_the_host(
    made: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[int] = []
    monkeypatch.setattr(signal, "alarm", limits.append)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    signer.main(made.state, bytes(48))
    assert limits == [ANSWER_LIMIT_S]


def test_another_configuration_is_refused_by_its_digest(made: Settings) -> None:
    pinned = outside.policy(made, booted(made), BINDING.config_digest.hex())
    refused = attest(made, pinned, BINDING.model_copy(update={"config_digest": b"\x99" * 32}))
    assert refused.exit_code == 9, refused.output
    assert (
        "the provider's configuration 9999999999999999... is not one that the policy lists" in refused.output
    )


def test_less_than_it_is_to_bind_is_not_signed(made: Settings) -> None:
    said = io.BytesIO()
    signer.answer(io.BytesIO(bytes(63)), said, machine_file(made.state).read_text(), bytes(48))
    assert said.getvalue() == b""
