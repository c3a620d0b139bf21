# SPDX-License-Identifier: Apache-2.0
"""`network export`: this network's nodes, signed for another owner."""

import hashlib
from collections.abc import Mapping, Sequence

from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.ids import Address, address_bytes, address_from_bytes
from trustedpods.protocol.networks.members import NOBODY, Role
from trustedpods.protocol.networks.owners.exports import (
    MAX_CARRIED,
    CarriedFile,
    ExportWord,
    NetworkExport,
    SharedHash,
    signed_export,
)
from trustedpods.publisher.core.networks.owners.exporting import exported_nodes
from trustedpods.publisher.core.networks.owners.links import by_alias
from trustedpods.publisher.core.select import Choice
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.networks.states import MemberView
from trustedpods.publisher.results.networks import ExportResult, NetworkId
from trustedpods.publisher.verbs.networks.files import NetworkFile
from trustedpods.publisher.verbs.networks.opening import counting, opened_whole
from trustedpods.publisher.verbs.networks.owners.texts import export_text


async def export(
    account: MarketAccount,
    file: NetworkFile,
    known: Mapping[str, Choice],
    alias: str | None,
    carried: Sequence[str],
    journal: Journal,
) -> ExportResult:
    """The nodes of *file* as the network's state knows them, for *alias* or everybody. No lease is needed.

    For one whose invitation was taken it is the answer. *carried* are shared files that go with it. Raises
    Refused (rule `role`) for one who is no owner, (rule `not-known`) where a node has no address yet.
    """
    async with opened_whole(account, file.network, known, journal) as clusters:
        view = counting(account, file.network, await clusters.read())
    check_owner(view, account.publisher.address)
    word: ExportWord = "tells"
    to, about = NOBODY, b""
    if alias is not None:
        link = by_alias(view.content.links, alias)
        to = link.owner
        if link.state == "joined":
            word, about = "answers", link.invitation
        elif link.state == "accepted" and link.invitation:
            word, about = "accepts", link.invitation
    made = export_from(account, file, view, to, carried, word, about)
    return ExportResult(
        NetworkId(file.network.founder, file.network.name),
        export_text(made),
        None if to == NOBODY else address_from_bytes(to),
        tuple(node.name for node in made.nodes),
        {one.name: one.sha256.hex() for one in made.shared},
    )


def export_from(
    account: MarketAccount,
    file: NetworkFile,
    view: MemberView,
    to: bytes,
    carried: Sequence[str] = (),
    word: ExportWord = "tells",
    about: bytes = b"",
) -> NetworkExport:
    """The signed export of *file*'s nodes in the state *view*. Raises as `export`, and BadInput."""
    return signed_export(
        account.publisher.key,
        NetworkExport(
            founder=address_bytes(view.network.founder),
            name=view.network.name,
            owner=address_bytes(account.publisher.address),
            to=to,
            word=word,
            about=about,
            epoch=view.content.metadata.epoch,
            generation=view.document.generation,
            nodes=exported_nodes(file.manifests, view.content),
            shared=[
                SharedHash(name=name, sha256=hashlib.sha256(data).digest())
                for name, data in sorted(file.shared.items())
            ],
            files=_carried(file.shared, carried),
        ),
    )


def _carried(shared: Mapping[str, bytes], wanted: Sequence[str]) -> list[CarriedFile]:
    for name in wanted:
        if name not in shared:
            raise BadInput(
                f"the file shares no {name!r}",
                where="--with",
                hint=f"spec.sharedFiles has: {', '.join(sorted(shared)) or 'none'}",
            )
    if (size := sum(len(shared[name]) for name in set(wanted))) > MAX_CARRIED:
        text = f"{size} bytes of files, and {MAX_CARRIED} go with an export"
        raise BadInput(text, where="--with", hint="send them by another way: their hashes are in it anyway")
    return [CarriedFile(name=name, data=shared[name]) for name in sorted(set(wanted))]


def check_owner(view: MemberView, who: Address) -> None:
    """Refused (rule `role`) unless *who* is an owner: another network hears of this one by owners alone."""
    if view.roster.role(who) is not Role.OWNER:
        raise Refused(f"{who} is no owner of {view.network}: only owners speak to others", rule="role")
