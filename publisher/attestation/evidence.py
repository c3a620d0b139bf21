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
from trustedpods.protocol.attestation.simulated import SimulatedMarket, listed
from trustedpods.protocol.attestation.verdict import Verdict, verify_evidence
from trustedpods.protocol.errors import BadInput, NoContext
from trustedpods.protocol.whole_file import read_whole
from trustedpods.publisher.attestation.releases import UserReleases
from trustedpods.publisher.context import MarketFile
from trustedpods.publisher.contexts import config_dir
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.results.attested import AttestProgress, AttestResult

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

    A word with a slash or `.toml` is a file. Raises BadInput, NoContext when there is none, or Refused
    where it takes measurements from a release file and no good one is here (rules `release-*`).
    """
    releases = UserReleases(environment)
    if "/" in name or name.endswith(".toml"):
        return load_policy(Path(name), releases)
    path = config_dir(environment) / POLICIES / f"{name}.toml"
    if not path.is_file():
        raise NoContext(f"no policy {name!r}: {path} does not exist", hint="name a file, or put it there")
    return load_policy(path, releases)


def simulated_market(file: MarketFile | None) -> SimulatedMarket | None:
    """The localnet that a market's file is of; None for a real market, or none."""
    if file is None or file.simulated_root is None:
        return None
    measurements = listed(file.simulated_measurements)
    return SimulatedMarket(file.simulated_root, file.chain_id, file.registry, file.payments, measurements)


def attest_file(
    path: Path,
    file: MarketFile | None,
    wanted: Wanted,
    at: datetime | None,
    progress: AttestProgress,
    journal: Journal,
) -> AttestResult:
    """Judge saved evidence as of *at*, else as of now. Raises like `attest_provider`."""
    saved = _read(path)
    progress.provider, progress.saved_at = saved.provider, saved.saved_at
    if wanted.policy is None and not wanted.print_policy:
        raise BadInput("which policy should hold for it?", where=str(path), hint="give --policy FILE")
    now = at or datetime.now(UTC)
    judge(saved, wanted, None, simulated_market(file), now, progress, journal)
    journal.show.warning(f"evidence from a file: it tells of {saved.saved_at:%Y-%m-%d %H:%MZ}, not of now")
    return progress.result()


def judge(
    saved: SavedEvidence,
    wanted: Wanted,
    own: Policy | None,
    market: SimulatedMarket | None,
    now: datetime,
    progress: AttestProgress,
    journal: Journal,
) -> Verdict:
    """Judge by the policy that is *wanted*, else by *own*; *progress* gets the verdict."""
    policy = own if wanted.policy is None else wanted.policy.in_market(market)
    if wanted.print_policy:
        text = draft(saved.attested, now, market, policy or Policy())
        progress.draft = text
        policy = parse_policy(text, "the draft").in_market(market)
    assert policy is not None  # one of the three is there
    verdict = verify_evidence(
        saved.attested, nonce=saved.nonce, peer_id=saved.peer_id, now=now, policy=policy
    )
    progress.verdict = verdict
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
    return SavedEvidence.from_json(read_whole(path, MAX_SAVED, "the evidence"), str(path))
