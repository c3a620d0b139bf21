# SPDX-License-Identifier: Apache-2.0
"""`network import`, `invite`, `join`, `accept` and `leave`: links to other owners, under all leases.

Each may be repeated after a kill. What a link opens or closes reaches the nodes by the next apply or `watch`.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.ids import Address, address_bytes, address_from_bytes
from trustedpods.protocol.networks.owners.exports import NetworkExport, signed_export
from trustedpods.protocol.networks.owners.invitations import Invitation, signed_invitation
from trustedpods.protocol.networks.owners.links import OwnerLink
from trustedpods.publisher.core.networks.history import DONE
from trustedpods.publisher.core.networks.owners import links
from trustedpods.publisher.core.networks.owners.nodes import nodes_of, standing_nodes_of
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.networks.recording import RecordedChange
from trustedpods.publisher.networks.states import MemberView, first_content
from trustedpods.publisher.results.networks import LinkResult, NetworkId
from trustedpods.publisher.state.files import write_whole
from trustedpods.publisher.verbs.networks.connect import cluster_of
from trustedpods.publisher.verbs.networks.documents.changing import changing, name_of, opened_view
from trustedpods.publisher.verbs.networks.files import NetworkFile
from trustedpods.publisher.verbs.networks.owners.exporting import check_owner, export_from
from trustedpods.publisher.verbs.networks.owners.statuses import owner_status
from trustedpods.publisher.verbs.networks.owners.texts import export_text, invitation_text
from trustedpods.publisher.verbs.networks.places import NetworkPlace, daemons_of

MAX_EXPIRY_S = 90 * 24 * 3600
"""A quarter: who does not answer by then is asked again."""


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """What the command line says beside files: the owner's name here, and how long leases are waited for."""

    alias: str | None = None
    wait_s: float = 0.0


async def import_export(
    account: MarketAccount, place: NetworkPlace, given: NetworkExport, options: LinkOptions, journal: Journal
) -> LinkResult:
    """Take another owner's export: a new link, newer nodes of an old one, or the word that ends a wait.

    Raises as `links.imported`, Refused (rule `role`), Locked, NetworkFailure, CopiesDiffer.
    """
    said = [*_alias(options), ("document", f"{given.network} {given.word} {given.generation}")]
    async with changing(account, place, "network import", said, options.wait_s, journal) as (network, change):
        view = _owned(account, network, change)
        after = links.imported(view.content.links, _us(account, view), given, options.alias)
        return await _written(network, change, view, after, given.owner)


async def invite(
    account: MarketAccount,
    place: NetworkPlace,
    file: NetworkFile,
    guest: Address,
    expires_s: int,
    carried: Sequence[str],
    options: LinkOptions,
    journal: Journal,
) -> LinkResult:
    """Sign an invitation for *guest*, good for *expires_s* seconds, with *file*'s nodes and *carried* files.

    An earlier one that he did not answer is void. Raises as `links.invited` and `export_from`.
    """
    if not 0 < expires_s <= MAX_EXPIRY_S:
        raise BadInput(f"from 1 second to {MAX_EXPIRY_S // 86400} days", where="--expires")
    if guest == account.publisher.address:
        raise BadInput("that is you: an invitation is for another owner", where="--for")
    said = [("--for", guest), *_alias(options), ("--expires", f"{expires_s}s")]
    async with changing(account, place, "network invite", said, options.wait_s, journal) as (network, change):
        view = _owned(account, network, change)
        exported = export_from(account, file, view, address_bytes(guest), carried)
        expires = int(time.time()) + expires_s
        invitation = signed_invitation(account.publisher.key, exported, guest, expires)
        after = links.invited(view.content.links, _us(account, view), invitation, options.alias)
        text = invitation_text(invitation)
        return await _written(network, change, view, after, invitation.guest, document=text)


async def join(
    account: MarketAccount,
    place: NetworkPlace,
    invitation: Invitation,
    file: NetworkFile | None,
    folder: Path | None,
    options: LinkOptions,
    journal: Journal,
) -> LinkResult:
    """Take an invitation into one's own network, which is begun where there is none.

    Files that came with it are written into *folder*. Refused (rule `genesis`) before anybody is asked where
    *file* shares others; else raises as `links.joined`, and BadInput where a file of the folder is another.
    """
    now, export = int(time.time()), invitation.export
    if file is not None:
        links.check_pinned(address_from_bytes(export.owner), export, file.hashes)
    said = [("invitation", invitation.digest.hex()), *_alias(options)]
    opening = changing(account, place, "network join", said, options.wait_s, journal, founding=True)
    async with opening as (network, change):
        if change.state is None:
            if network.founder != account.publisher.address:
                raise Refused(f"only {network.founder} begins this network", rule="role")
            daemons = await daemons_of(account, place)
            clusters = [cluster_of(name, one) for name, one in daemons.items()]
            content = first_content(account.publisher, name_of(network), clusters)
            us = links.Us(name_of(network), account.publisher.address, {account.publisher.address})
            after = links.joined((), us, invitation, options.alias, now)
            nodes_of(after)
            written = await _files(folder, export)
            begun = await change.write(content.model_copy(update={"links": after}), result=DONE)
            return _result(network, (), begun.content.links, export.owner, files=written)
        view = _owned(account, network, change)
        after = links.joined(view.content.links, _us(account, view), invitation, options.alias, now)
        nodes_of(after)
        written = await _files(folder, export)
        return await _written(network, change, view, after, export.owner, files=written)


async def accept(
    account: MarketAccount,
    place: NetworkPlace,
    file: NetworkFile,
    answer: NetworkExport,
    options: LinkOptions,
    journal: Journal,
) -> LinkResult:
    """Let the guest who answered in; `document` is the word for him, with *file*'s nodes as they are now.

    Raises as `links.accepted`, and Refused (rule `genesis`) where he has other shared files.
    """
    said = [("answer", f"{answer.network} {answer.generation}")]
    async with changing(account, place, "network accept", said, options.wait_s, journal) as (network, change):
        view = _owned(account, network, change)
        after = links.accepted(view.content.links, _us(account, view), answer, int(time.time()))
        links.check_pinned(address_from_bytes(answer.owner), answer, file.hashes)
        done = await _written(network, change, view, after, answer.owner)
        told = export_from(account, file, _state(change), answer.owner, word="accepts", about=answer.about)
        return LinkResult(
            done.network, done.alias, done.link, done.changed, done.came, done.gone, export_text(told)
        )


async def leave(
    account: MarketAccount, place: NetworkPlace, alias: str, options: LinkOptions, journal: Journal
) -> LinkResult:
    """Close the link to *alias*; `document` tells him. BadInput where nobody is called so."""
    said = [("owner", alias)]
    async with changing(account, place, "network leave", said, options.wait_s, journal) as (network, change):
        view = _owned(account, network, change)
        link = links.by_alias(view.content.links, alias)
        owner = link.owner
        after = links.left(view.content.links, alias)
        done = await _written(network, change, view, after, owner)
        now = _state(change)
        told = NetworkExport(
            founder=address_bytes(network.founder),
            name=network.name,
            owner=address_bytes(account.publisher.address),
            to=owner,
            word="leaves",
            about=link.invitation,
            epoch=now.content.metadata.epoch,
            generation=now.document.generation,
            nodes=[],
        )
        text = export_text(signed_export(account.publisher.key, told))
        return LinkResult(done.network, done.alias, done.link, done.changed, done.came, done.gone, text)


def _alias(options: LinkOptions) -> list[tuple[str, str]]:
    return [] if options.alias is None else [("--as", options.alias)]


def _owned(account: MarketAccount, network: NetworkId, change: RecordedChange) -> MemberView:
    view = change.state or opened_view(account, network, change.document)
    check_owner(view, account.publisher.address)
    view.read.writable()
    return view


def _state(change: RecordedChange) -> MemberView:
    assert change.state is not None
    return change.state


def _us(account: MarketAccount, view: MemberView) -> links.Us:
    return links.Us(view.network, account.publisher.address, view.roster.members)


async def _written(
    network: NetworkId,
    change: RecordedChange,
    view: MemberView,
    after: Sequence[OwnerLink],
    owner: bytes,
    *,
    document: str = "",
    files: tuple[str, ...] = (),
) -> LinkResult:
    """Write the links, where they are others than before, and say what came of them."""
    before = view.content.links
    # A name that is too long is said before anything is written. Old links are never in the way of a leave.
    nodes_of([link for link in after if link not in before])
    if list(after) != before:
        await change.write(view.content.model_copy(update={"links": list(after)}), result=DONE)
    return _result(network, before, after, owner, document=document, files=files)


def _result(
    network: NetworkId,
    before: Sequence[OwnerLink],
    after: Sequence[OwnerLink],
    owner: bytes,
    *,
    document: str = "",
    files: tuple[str, ...] = (),
) -> LinkResult:
    old, new = standing_nodes_of(before), standing_nodes_of(after)
    link = links.by_owner(after, owner)
    assert link is not None
    return LinkResult(
        network,
        link.alias,
        owner_status(link, int(time.time())),
        list(before) != list(after),
        tuple(name for name in new if old.get(name) != new[name]),
        tuple(name for name in old if name not in new),
        document,
        files,
    )


async def _files(folder: Path | None, export: NetworkExport) -> tuple[str, ...]:
    return () if folder is None else await trio.to_thread.run_sync(_write_files, folder, export)


def _write_files(folder: Path, export: NetworkExport) -> tuple[str, ...]:
    """Write the files that came along. One that is there must be the same: all are looked at before."""
    missing = [file for file in export.files if not _is_there(folder / file.name, file.data)]
    for file in missing:
        path = folder / file.name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, file.data)
        except OSError as error:
            raise BadInput(f"cannot write {path}: {error.strerror or error}", where=str(path)) from None
    return tuple(str(folder / file.name) for file in export.files)


def _is_there(path: Path, data: bytes) -> bool:
    """Whether *path* holds *data*. BadInput where it holds something else, or cannot be read."""
    try:
        if not path.exists():
            return False
        same = path.stat().st_size == len(data) and path.read_bytes() == data
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}", where=str(path)) from None
    if not same:
        raise BadInput(f"{path} is there already, and is another file", where=str(path))
    return True
