# SPDX-License-Identifier: Apache-2.0
"""Who may ask what about a network: by the team that its document names in clear. Pure."""

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import Address
from trustedpods.protocol.networks.documents import Copy, Prepare, Question, ReadCopy, Remove, Repair
from trustedpods.protocol.networks.leases import AskLease, Release, Renew
from trustedpods.protocol.networks.members import Role
from trustedpods.protocol.networks.sealed_documents import check_write, parse_body, role_of, verified
from trustedpods.protocol.sealing.subjects import NetworkRef


def check(network: NetworkRef, copy: Copy, question: Question, signer: Address, now: int) -> None:
    """Whether *signer* may ask this of a cluster that holds *copy*; *now* is its clock, in Unix seconds.

    Refused (rule `member`) for a stranger, (rule `role`) for a member who may not, and with
    `check_write`'s rules for a document that may not follow; RemoteProtocolError for what is none. That
    nothing is kept here is told to everybody: so an owner sees how far a removal came.
    """
    if isinstance(question, ReadCopy) and copy == Copy():
        return
    role = role_of(network.publisher, network.salt, copy.current.body, signer)
    if not copy.current.body and isinstance(question, Release | Renew):
        return  # of the signer's own attempt alone: an owner who removed the network lets its lease go
    if role is None and not copy.current.body:
        raise Refused(
            f"this cluster keeps no document of the network: its founder alone may change that, not {signer}",
            rule="member",
            hint="if other clusters keep it, its founder runs `trustedpods state repair --from` one of them",
        )
    if role is None:
        raise Refused(
            f"{signer} is no member of this network",
            rule="member",
            hint="its founder begins it, its owners let members in",
        )
    if isinstance(question, ReadCopy | AskLease):
        return
    if not role.writes:
        raise Refused(f"{signer} is a {role} of this network and changes nothing", rule="role")
    if isinstance(question, Prepare | Repair | Remove):
        _check_change(network, copy, question, signer, role, now)


def _check_change(
    network: NetworkRef,
    copy: Copy,
    question: Prepare | Repair | Remove,
    signer: Address,
    role: Role,
    now: int,
) -> None:
    match question:
        case Prepare(base=base, document=document):
            new = document not in (copy.current, copy.pending)
            if new and base == copy.current:  # any other base the core refuses, and says what stands here
                check_write(network.publisher, network.salt, base, document, signer, now)
        case Remove():
            if role is not Role.OWNER:
                raise Refused(f"{signer} is a {role} of this network: only owners remove it", rule="role")
        case Repair(document=document):
            verified(parse_body(document.body))
            there = role_of(network.publisher, network.salt, document.body, signer)
            if not role == there == Role.OWNER:
                raise Refused(
                    f"{signer} is a {role} of this network: only owners say which copy is right", rule="role"
                )
