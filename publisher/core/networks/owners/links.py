# SPDX-License-Identifier: Apache-2.0
"""What becomes of a network's links when something signed comes from another owner, or is sent to him. Pure.

A link belongs to one key and one network of the other owner. Of his exports a later state's counts; an
earlier one, or another one of the same state, is refused, so nothing that was sent before can be sent again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.ids import Address, address_bytes, address_from_bytes
from trustedpods.protocol.limits import KIB
from trustedpods.protocol.networks.members import NOBODY, NetworkName
from trustedpods.protocol.networks.owners.exports import NetworkExport, read_export
from trustedpods.protocol.networks.owners.invitations import Invitation
from trustedpods.protocol.networks.owners.links import MAX_LINKS, OwnerLink
from trustedpods.protocol.sealing.public_keys import is_node_key

OPEN: Final = frozenset({"imported", "joined", "accepted"})
"""States in which the other owner's nodes are called, and let in."""

MAX_LINKED: Final = 96 * KIB
"""Bytes of all links' exports together: less than half of what the state may have (`MAX_CONTENT`)."""

OwnerLinks = list[OwnerLink]


@dataclass(frozen=True, slots=True)
class Us:
    """The network whose links they are, who asks, and who else is in the team."""

    network: NetworkName
    who: Address
    team: Collection[Address]


def imported(links: Sequence[OwnerLink], us: Us, export: NetworkExport, alias: str | None) -> OwnerLinks:
    """*links* after an export that was read from a file: a new link, or newer nodes of one that is there.

    An acceptance ends the wait of a link that joined; who leaves is left. Refused (rules `export`,
    `invitation`), BadInput where an alias is needed, or is taken.
    """
    _check_for_us(export, us)
    _check_identities(export)
    found = by_owner(links, export.owner)
    if export.word == "answers":
        raise Refused(
            "this answers an invitation: whoever invited takes it",
            rule="invitation",
            hint="`trustedpods network accept`",
        )
    if found is None:
        if export.word != "tells":
            raise Refused(f"no link leads to {_owner(export)}, who {export.word}", rule="export")
        new = _link(_alias(links, alias), export, us, "imported")
        return _with(links, new)
    _check_follows(found, export)
    if export.word == "leaves":
        return _with(links, _renewed(found, export, "left"))
    if found.state in ("invited", "left"):
        raise Refused(
            f"{found.alias} is {found.state}, so nothing of his is taken by a file",
            rule="export",
            hint="an invitation and its answer link you: `trustedpods network invite`",
        )
    state = found.state
    if export.word == "accepts":
        if export.about != found.invitation or state not in ("joined", "accepted"):
            raise Refused(f"{found.alias} accepts another invitation than yours", rule="invitation")
        state = "accepted"
    return _with(links, _renewed(found, export, state))


def invited(links: Sequence[OwnerLink], us: Us, invitation: Invitation, alias: str | None) -> OwnerLinks:
    """*links* after an invitation was signed: an earlier one of the same guest is void."""
    guest = invitation.guest
    found = by_owner(links, guest)
    if found is not None and found.state in OPEN:
        raise Refused(
            f"{address_from_bytes(guest)} is linked already, as {found.alias}",
            rule="invitation",
            hint=f"`trustedpods network leave {us.network.name} {found.alias}` first, to begin anew",
        )
    return _with(
        links,
        OwnerLink(
            alias=found.alias if found is not None and alias is None else _alias(links, alias, guest),
            owner=guest,
            ours=address_bytes(us.who),
            state="invited",
            invitation=invitation.digest,
            expires=invitation.expires,
            export=b"" if found is None else found.export,
            epoch=0 if found is None else found.epoch,
            generation=0 if found is None else found.generation,
        ),
    )


def joined(
    links: Sequence[OwnerLink], us: Us, invitation: Invitation, alias: str | None, now: int
) -> OwnerLinks:
    """*links* after the guest took an invitation; the same one again changes nothing.

    Refused (rule `invitation`) where it is another's, or has expired at *now*.
    """
    export = invitation.export
    if invitation.guest != address_bytes(us.who):
        raise Refused(
            f"the invitation is for {address_from_bytes(invitation.guest)}, and you are {us.who}",
            rule="invitation",
        )
    _check_identities(export)
    found = by_owner(links, export.owner)
    if found is not None and found.invitation == invitation.digest and found.state in ("joined", "accepted"):
        return list(links)
    _check_expiry(invitation.expires, now, _owner(export))
    if found is not None:
        _check_follows(found, export)
    new = _link(
        found.alias if found is not None and alias is None else _alias(links, alias, export.owner),
        export,
        us,
        "joined",
        invitation.digest,
        invitation.expires,
    )
    return _with(links, new)


def accepted(links: Sequence[OwnerLink], us: Us, answer: NetworkExport, now: int) -> OwnerLinks:
    """*links* after the answer to an invitation of ours; the same one again changes nothing but the nodes.

    Refused (rule `invitation`) where it answers none of ours, or has expired at *now* and was not accepted.
    """
    _check_for_us(answer, us)
    _check_identities(answer)
    if answer.word != "answers":
        raise Refused(f"it answers no invitation: {_owner(answer)} {answer.word}", rule="invitation")
    found = by_owner(links, answer.owner)
    if found is None or found.invitation != answer.about or found.state not in ("invited", "accepted"):
        raise Refused(
            f"{_owner(answer)} answers an invitation that this network does not wait for",
            rule="invitation",
            hint="it was left, or invited anew: `trustedpods network invite` makes another",
        )
    if found.state == "invited":
        _check_expiry(found.expires, now, found.alias)
    _check_follows(found, answer)
    return _with(links, _renewed(found, answer, "accepted"))


def left(links: Sequence[OwnerLink], alias: str) -> OwnerLinks:
    """*links* after we left *alias*: his nodes go. BadInput where nobody is called so."""
    return _with(links, by_alias(links, alias).model_copy(update={"state": "left"}))


def by_owner(links: Sequence[OwnerLink], owner: bytes) -> OwnerLink | None:
    """The link to *owner*."""
    return next((link for link in links if link.owner == owner), None)


def by_alias(links: Sequence[OwnerLink], alias: str) -> OwnerLink:
    """The link that is called *alias*, or whose owner's address it is. BadInput where there is none."""
    for link in links:
        if alias in (link.alias, address_from_bytes(link.owner)):
            return link
    raise BadInput(
        f"no other owner is called {alias!r}",
        hint=f"there are: {', '.join(link.alias for link in links) or 'none'}",
    )


def status_text(link: OwnerLink, now: int) -> str:
    """How far a link is, for people."""
    match link.state:
        case "invited":
            return "expired" if now >= link.expires else "invited, no answer yet"
        case "joined":
            return "expired" if now >= link.expires else f"waiting for {link.alias} to accept"
        case state:
            return state


def check_shared(links: Sequence[OwnerLink], hashes: Mapping[str, bytes]) -> None:
    """As `check_pinned`, for all open links."""
    for link in links:
        if link.state in OPEN:
            check_pinned(link.alias, read_export(link.export), hashes)


def check_pinned(whose: str, export: NetworkExport, hashes: Mapping[str, bytes]) -> None:
    """That files of one name have one hash here (*hashes*, of the file's `sharedFiles`) and in *export*.

    Refused (rule `genesis`): with another genesis nodes never meet, and it may show only hours later.
    """
    for one in export.shared:
        have = hashes.get(one.name)
        if have is None or have == one.sha256:
            continue
        raise Refused(
            f"{whose} shares {one.name} with sha256 {one.sha256.hex()}, and here it has {have.hex()}",
            where="spec.sharedFiles",
            rule="genesis",
            hint="all must have the same: `network join INVITATION --files FOLDER` writes what came along",
        )


def _owner(export: NetworkExport) -> Address:
    return address_from_bytes(export.owner)


def _check_for_us(export: NetworkExport, us: Us) -> None:
    if export.owner == address_bytes(us.who) or _owner(export) in us.team:
        raise Refused(f"it is of {_owner(export)}, who is of this network's own team", rule="export")
    if export.to != NOBODY and address_from_bytes(export.to) not in us.team:
        raise Refused(f"it is for {address_from_bytes(export.to)}, who is not of this network", rule="export")


def _check_identities(export: NetworkExport) -> None:
    """That what nodes are known by are keys, as providers write them: programs are to compare them."""
    for node in export.nodes:
        if node.identity and not is_node_key(node.identity):
            raise Refused(
                f"the identity of node {node.name} is no key of ed25519, x25519, secp256k1 or p256",
                where=f"the export of {export.network}",
                rule="export",
                hint="its owner applies his network again, and exports it anew",
            )


def _check_expiry(expires: int, now: int, whose: str) -> None:
    if now >= expires:
        raise Refused(
            f"the invitation between you and {whose} has expired",
            rule="invitation",
            hint="ask for another: `trustedpods network invite`",
        )


def _check_follows(link: OwnerLink, export: NetworkExport) -> None:
    """Whether *export* may come behind what is known of the link.

    Who left, or was invited anew, may begin anew with another network: a fresh invitation is asked of both.
    """
    if export.word == "leaves" and link.state == "invited" and export.about != link.invitation:
        raise Refused(f"{link.alias} leaves another network than he is invited to", rule="export")
    if not link.export:
        return
    known = read_export(link.export)
    if export.network != known.network:
        if link.state not in OPEN and export.word != "leaves":
            return
        raise Refused(f"{link.alias} is linked by {known.network}, not by {export.network}", rule="export")
    if export.word != "leaves" and export.shared != known.shared and link.state in OPEN:
        raise Refused(
            f"{link.alias} shares other files now than when you were linked",
            rule="genesis",
            hint="leave, and be invited anew, if that is meant",
        )
    leaves_again = export.word == "leaves" and export.age == link.age and link.state != "left"
    if export.age < link.age or leaves_again:
        raise Refused(f"something later of {link.alias} is known already", rule="export")
    if export.word != "leaves" and export.age == known.age and export.nodes != known.nodes:
        raise Refused(f"{link.alias} signed two different exports of one state", rule="export")


def _renewed(link: OwnerLink, export: NetworkExport, state: str) -> OwnerLink:
    kept = link.export if state == "left" else encode(export.without_files)
    update = {"export": kept, "state": state, "epoch": export.epoch, "generation": export.generation}
    return OwnerLink.model_validate(link.model_dump() | update)


def _link(
    alias: str, export: NetworkExport, us: Us, state: str, invitation: bytes = b"", expires: int = 0
) -> OwnerLink:
    return OwnerLink.model_validate(
        {
            "invitation": invitation,
            "expires": expires,
            "alias": alias,
            "owner": export.owner,
            "ours": address_bytes(us.who),
            "state": state,
            "export": encode(export.without_files),
            "epoch": export.epoch,
            "generation": export.generation,
        }
    )


def _alias(links: Sequence[OwnerLink], alias: str | None, of: bytes = b"") -> str:
    if alias is None:
        raise BadInput(
            "say how this owner is called here",
            where="--as",
            hint="a letter, then letters and digits, at most 16; his nodes are ALIAS-NODE",
        )
    if any(link.alias == alias and link.owner != of for link in links):
        raise BadInput(f"another owner is called {alias!r} already", where="--as")
    return alias


def _with(links: Sequence[OwnerLink], changed: OwnerLink) -> OwnerLinks:
    """*links* with one *changed*. Owners who left make room: first their nodes are forgotten, then they."""
    rest = [link for link in links if link.owner != changed.owner]
    gone = [link for link in rest if link.state == "left"]
    while len(rest) >= MAX_LINKS:
        if not gone:
            raise BadInput(f"a network has at most {MAX_LINKS} other owners", hint="leave one of them first")
        rest.remove(gone.pop(0))
    if sum(len(link.export) for link in (*rest, changed)) > MAX_LINKED:
        rest = [link.model_copy(update={"export": b""}) if link in gone else link for link in rest]
    if changed.state != "left" and sum(len(link.export) for link in (*rest, changed)) > MAX_LINKED:
        raise BadInput(
            f"what other owners tell of their nodes takes more than {MAX_LINKED // KIB} KiB together",
            hint="leave one of them first, or let them tell of fewer nodes",
        )
    return sorted([*rest, changed], key=lambda link: link.alias)
