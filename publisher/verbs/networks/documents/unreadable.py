# SPDX-License-Identifier: Apache-2.0
"""`state restore` where no member can read the state that counts: a changed client wrote it.

Daemons open nothing, so an operator may sign a state that is none. His signature stands on it; what stands
in clear beside it, the team and the generation, daemons have checked, and so the next state follows it.
"""

import time

from trustedpods.protocol.errors import Refused, TrustedPodsError
from trustedpods.protocol.ids import address_bytes
from trustedpods.protocol.networks.content import NetworkContent, begun, ended
from trustedpods.protocol.networks.documents import NOTHING, Document, later_epoch
from trustedpods.protocol.networks.history import arguments
from trustedpods.protocol.networks.members import Role
from trustedpods.protocol.networks.sealed_documents import parse_body, verified
from trustedpods.publisher.core.networks.history import DONE
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.networks.states import MemberView, body_over, read_state
from trustedpods.publisher.results.networks import RestoreResult
from trustedpods.publisher.verbs.networks.opening import check_all_named
from trustedpods.publisher.verbs.networks.places import NetworkPlace, opened


async def restore_over(
    account: MarketAccount,
    place: NetworkPlace,
    saved: MemberView,
    content: NetworkContent,
    wait_s: float,
    journal: Journal,
    *,
    go_back: bool,
    failed: TrustedPodsError,
) -> RestoreResult:
    """Let *content*, that of the backup *saved*, follow what nobody can read. Only an owner may.

    Raises Refused (rule `role`), (rule `clusters`) where not all clusters of the backup are named, (rule
    `go-back`) without *go_back*; *failed*, which led here, where what counts can be read; Locked,
    NetworkFailure, CopiesDiffer.
    """
    who = account.publisher
    async with opened(account, place, journal) as (network, clusters):
        check_all_named(saved, clusters.doors)
        async with clusters.locked(f"state restore {network.name}", wait_s) as held:
            told = _unreadable(account, saved, held.document)
            if told is None:
                raise failed
            if not go_back:
                raise Refused(told, rule="go-back", hint="--go-back lets the backup's state follow it")
            present, now = parse_body(held.document.body), int(time.time())
            if verified(present).role(who.address) is not Role.OWNER:
                raise Refused(f"{who.address} is no owner of {saved.network}", rule="role")
            epoch = later_epoch([content.metadata.epoch, present.epoch or 0], now)
            metadata = content.metadata.model_copy(update={"epoch": epoch})
            content = content.model_copy(update={"metadata": metadata})
            said, following = (
                arguments([("network", str(saved.network)), ("--go-back", "")]),
                present.generation + 1,
            )
            content = begun(content, now, address_bytes(who.address), "state restore", said, following)
            content = ended(content, now, DONE, following)
            document = await held.write(body_over(who, saved, present, content))
        return RestoreResult(network, saved.document, document, (told,))


def _unreadable(account: MarketAccount, saved: MemberView, document: Document) -> str | None:
    """What reading *document* fails with, and whose it is; None where it can be read, or is gone."""
    if document == NOTHING:
        return None  # it was removed since
    try:
        read_state(account.publisher, saved.network, document)
    except TrustedPodsError as error:
        writer = parse_body(document.body).writer.hex()
        return f"generation {document.generation}, signed by 0x{writer}, is no state: {error.what}"
    return None
