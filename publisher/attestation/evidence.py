# SPDX-License-Identifier: Apache-2.0
"""Evidence against a policy, wherever it came from: no network is needed for that."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from trustedpods.protocol.attestation.policy.draft import draft
from trustedpods.protocol.attestation.policy.file import load_policy, parse_policy
from trustedpods.protocol.attestation.policy.policy import Policy
from trustedpods.protocol.attestation.saved import MAX_SAVED, SavedEvidence
from trustedpods.protocol.attestation.simulated import SimulatedMarket
from trustedpods.protocol.attestation.verdict import Verdict, verify_evidence
from trustedpods.protocol.errors import BadInput, NoContext
from trustedpods.publisher.context import MarketFile, config_dir
from trustedpods.publisher.core.trust import trust_text
from trustedpods.publisher.journal import Journal

POLICIES = "policies"
"""Folder of named policies in the user's folder of settings."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to do with the evidence; None: the market's own policy, do not save it."""

    policy: Policy | None = None
    save: Path | None = None
    print_policy: bool = False


def read_policy(name: str, environment: Mapping[str, str] = os.environ) -> Policy:
    """The policy in a file, or the one that the user keeps as policies/NAME.toml.

    A word with a slash or `.toml` is a file. Raises BadInput, or NoContext when there is none.
    """
    if "/" in name or name.endswith(".toml"):
        return load_policy(Path(name))
    path = config_dir(environment) / POLICIES / f"{name}.toml"
    if not path.is_file():
        raise NoContext(f"no policy {name!r}: {path} does not exist", hint="name a file, or put it there")
    return load_policy(path)


def simulated_market(file: MarketFile | None) -> SimulatedMarket | None:
    """The localnet that a market's file is of; None for a real market, or none."""
    if file is None or file.simulated_root is None:
        return None
    return SimulatedMarket(file.simulated_root, file.chain_id, file.registry, file.payments)


def attest_file(
    path: Path, file: MarketFile | None, wanted: Wanted, at: datetime | None, journal: Journal
) -> None:
    """Judge saved evidence as of *at*, else as of now. Raises like `attest_provider`."""
    saved = _read(path)
    journal.result |= {"provider": saved.provider, "saved_at": saved.saved_at.isoformat()}
    if wanted.policy is None and not wanted.print_policy:
        raise BadInput("which policy should hold for it?", where=str(path), hint="give --policy FILE")
    now = at or datetime.now(UTC)
    judge(saved, wanted, None, simulated_market(file), now, journal)
    journal.show.warning(f"evidence from a file: it tells of {saved.saved_at:%Y-%m-%d %H:%MZ}, not of now")


def verdict_facts(verdict: Verdict) -> dict[str, object]:
    """A verdict for `-o json`."""
    return {
        "class": verdict.trust,
        "simulated": verdict.simulated,
        "platform": verdict.platform,
        "chip_id": verdict.chip_id.hex(),
        "report_sha256": verdict.report_digest.hex(),
        "policy": verdict.policy,
        "entry": verdict.entry,
        "expiry": None if verdict.expiry is None else verdict.expiry.isoformat(),
        "warnings": list(verdict.warnings),
        "checks": list(verdict.checks),
    }


def judge(
    saved: SavedEvidence,
    wanted: Wanted,
    own: Policy | None,
    market: SimulatedMarket | None,
    now: datetime,
    journal: Journal,
) -> Verdict:
    """Judge by the policy that is *wanted*, else by *own*; fills the journal's result."""
    policy = own if wanted.policy is None else wanted.policy.in_market(market)
    if wanted.print_policy:
        text = draft(saved.attested, now, market, policy or Policy())
        journal.result["policy_draft"] = text
        policy = parse_policy(text, "the draft").in_market(market)
    assert policy is not None  # one of the three is there
    verdict = verify_evidence(
        saved.attested, nonce=saved.nonce, peer_id=saved.peer_id, now=now, policy=policy
    )
    journal.result["verdict"] = verdict_facts(verdict)
    journal.result["trust"] = trust_text(verdict.trust, simulated=verdict.simulated)
    for warning in verdict.warnings:
        journal.show.warning(warning)
    return verdict


def write_saved(path: Path, saved: SavedEvidence) -> None:
    """Keep it as a file; BadInput when that cannot be."""
    try:
        path.write_text(saved.to_json())
    except OSError as error:
        raise BadInput(f"cannot write the evidence: {error.strerror}", where=str(path)) from None


def _read(path: Path) -> SavedEvidence:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_SAVED + 1)
    except OSError as error:
        raise BadInput(f"cannot read it: {error.strerror}", where=str(path)) from None
    return SavedEvidence.from_json(raw, str(path))
