# SPDX-License-Identifier: Apache-2.0
"""What is remembered of a pod, and how a visit to its provider changes it."""

import time
from dataclasses import asdict
from pathlib import Path

from trustedpods.protocol.attestation.policy.policy import Policy
from trustedpods.protocol.errors import BadInput, EvidenceRefused, TrustedPodsError
from trustedpods.protocol.ids import address_from_bytes, channel_hex
from trustedpods.protocol.messages.provider import TrustClass
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.core.cost import Shape
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.locations import PodLocation
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Session
from trustedpods.publisher.state.pod_records import FOLDER, Memos, PodMemo, ShapeMemo


def memos() -> Memos:
    """Where this client keeps what it knows of its pods."""
    return Memos(state_dir() / FOLDER)


def mine(account: MarketAccount, journal: Journal) -> list[PodMemo]:
    """The pods of this key in this market that are kept here, by name; damaged memos are said."""
    file = account.market.file
    place = (file.chain_id, file.payments, account.publisher.address)
    found = [load(channel, journal) for channel in memos().channels()]
    kept = [memo for memo in found if memo and (memo.chain_id, memo.payments, memo.publisher) == place]
    return sorted(kept, key=lambda memo: memo.name)


def load(channel: str, journal: Journal) -> PodMemo | None:
    """What is kept of a channel; a damaged memo is said and counts as none."""
    try:
        return memos().load(channel)
    except BadInput as error:
        journal.show.warning(f"{error}")
        return None


def begin(account: MarketAccount, name: str, place: PodLocation) -> PodMemo:
    """A memo of a pod that nothing is known of yet; its class is that of the provider's row."""
    file, row = account.market.file, place.row
    return PodMemo(
        name=name,
        channel=channel_hex(place.ref.channel),
        chain_id=file.chain_id,
        payments=file.payments,
        publisher=account.publisher.address,
        owner=row.owner,
        daemon=row.daemon,
        trust=row.trust,
        policy=None,
        file=None,
        shape=None,
    )


def attested(memo: PodMemo, session: Session, policy: Policy) -> PodMemo:
    """The memo after this machine was verified against *policy* just now."""
    return memo.model_copy(
        update={
            "boot": session.binding.boot_id.hex(),
            "meter": address_from_bytes(session.binding.meter),
            "simulated": session.verdict.simulated,
            "label": policy.label,
            "attested_at": int(time.time()),
            "refused": "",
            "refused_at": 0,
        }
    )


def refused(memo: PodMemo, error: EvidenceRefused) -> PodMemo:
    """The memo after its provider stopped verifying; the first refusal since it last did counts."""
    first = memo.refused_at or int(time.time())
    return memo.model_copy(update={"refused": str(error)[:500], "refused_at": first})


def deployed(memo: PodMemo, shape: Shape, file: Path, trust: TrustClass, policy: str | None) -> PodMemo:
    """The memo when a manifest is handed over: bounds only grow, as older usage may still be billed."""
    new = asdict(shape)
    known = {} if memo.shape is None else memo.shape.model_dump()
    largest = {name: max(value, known.get(name, 0)) for name, value in new.items()}
    return memo.model_copy(
        update={
            "shape": ShapeMemo(**largest),
            "file": str(file.absolute()),
            "trust": trust,
            "policy": policy,
        }
    )


def shape_of_memo(memo: PodMemo) -> Shape | None:
    """The bounds for the pod's usage, where they are known."""
    return None if memo.shape is None else Shape(**memo.shape.model_dump())


def keep(memo: PodMemo, journal: Journal) -> None:
    """Save it; where that is not possible the verb goes on, and says so."""
    try:
        memos().save(memo)
    except TrustedPodsError as error:
        journal.show.warning(f"{error}")


def memo_facts(memo: PodMemo | None) -> dict[str, object]:
    """When the provider was last attested and against what, for `-o json` and `status`."""
    if memo is None:
        return {"attested": None}
    return {
        "attested": {
            "at": memo.attested_at or None,
            "policy": memo.policy or "built-in",
            "label": memo.label,
            "boot": memo.boot,
            "refused": memo.refused or None,
            "refused_at": memo.refused_at or None,
        }
    }
