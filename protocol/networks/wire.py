# SPDX-License-Identifier: Apache-2.0
"""Questions and answers about a network, to the messages that carry them and back.

A document that the other side has travels as its name. A name that fits nothing which stands here
becomes a document that no copy can hold, so that the core answers as it does for any other copy.
"""

import hashlib

from trustedpods.protocol.errors import LocalProtocolError, RemoteProtocolError
from trustedpods.protocol.ids import Address, address_bytes, address_from_bytes
from trustedpods.protocol.messages import networks as messages
from trustedpods.protocol.messages.base import Message, sendable
from trustedpods.protocol.networks.documents import (
    NOTHING,
    Answer,
    Commit,
    Copy,
    Document,
    Generation,
    Prepare,
    Question,
    ReadCopy,
    Remove,
    Repair,
    StaleBase,
    Write,
    Written,
)
from trustedpods.protocol.networks.leases import (
    Acquire,
    AskLease,
    Attempt,
    AwaitEnd,
    Behind,
    BreakLease,
    Broken,
    Command,
    Ended,
    Fence,
    Granted,
    LeaseStatus,
    LeaseWaiter,
    Milliseconds,
    NotHeld,
    Release,
    Released,
    Renew,
)
from trustedpods.protocol.units import UnixSeconds

MAX_WORDS = 512
"""Letters of what a command says of itself."""

_PLAIN: dict[str, Answer] = {
    "ended": Ended(),
    "released": Released(),
    "not-held": NotHeld(),
    "written": Written(),
}


def body_of(question: Question, network: str) -> messages.NetworkQuestion:  # noqa: PLR0911 - one line for each
    """The message that asks *question* about the network of that name."""
    match question:
        case Acquire(attempt, command):
            return messages.AcquireBody(
                network=network, attempt=attempt_text(attempt), command=command_text(command)
            )
        case Renew(attempt, fence):
            return messages.RenewBody(network=network, attempt=attempt_text(attempt), fence=fence)
        case Release(attempt, aside):
            return messages.ReleaseBody(network=network, attempt=attempt_text(attempt), aside=aside)
        case AwaitEnd(attempt, other):
            return messages.AwaitEndBody(
                network=network, attempt=attempt_text(attempt), other=attempt_text(other)
            )
        case ReadCopy():
            return messages.ReadBody(network=network)
        case AskLease():
            return messages.AskLeaseBody(network=network)
        case BreakLease(broken, _, reason, _):
            return messages.BreakBody(network=network, broken=attempt_text(broken), reason=reason)
        case Prepare() | Commit() | Repair() | Remove():
            return _write_body(question, network)


def _write_body(question: Write, network: str) -> messages.NetworkQuestion:
    attempt, fence = attempt_text(question.attempt), question.fence
    match question:
        case Prepare():
            return messages.PrepareBody(
                network=network,
                attempt=attempt,
                fence=fence,
                base=name_of(question.base),
                document=document_bytes(question.document),
            )
        case Commit():
            return messages.CommitBody(
                network=network, attempt=attempt, fence=fence, document=name_of(question.document)
            )
        case Remove():
            return messages.RemoveBody(
                network=network, attempt=attempt, fence=fence, document=name_of(question.document)
            )
        case Repair():
            pending = question.found.pending
            return messages.RepairBody(
                network=network,
                attempt=attempt,
                fence=fence,
                current=name_of(question.found.current),
                pending=None if pending is None else name_of(pending),
                document=document_bytes(question.document),
            )


def question_of(body: messages.NetworkQuestion, copy: Copy, signer: Address, now: UnixSeconds) -> Question:  # noqa: PLR0911 - one line for each
    """What *body* asks a cluster that holds *copy*; *now* is the daemon's wall clock."""
    match body:
        case messages.AcquireBody():
            return Acquire(attempt_of(body.attempt), command_of(body.command))
        case messages.RenewBody():
            return Renew(attempt_of(body.attempt), Fence(body.fence))
        case messages.ReleaseBody():
            return Release(attempt_of(body.attempt), body.aside)
        case messages.AwaitEndBody():
            return AwaitEnd(attempt_of(body.attempt), attempt_of(body.other))
        case messages.ReadBody():
            return ReadCopy()
        case messages.AskLeaseBody():
            return AskLease()
        case messages.BreakBody():
            return BreakLease(attempt_of(body.broken), signer, body.reason, now)
        case _:
            return _write_of(body, copy)


def _write_of(body: messages.NetworkQuestion, copy: Copy) -> Write:
    match body:
        case messages.PrepareBody():
            base, document = _named(body.base, copy), _written(body.document)
            return Prepare(attempt_of(body.attempt), Fence(body.fence), base, document)
        case messages.CommitBody():
            return Commit(attempt_of(body.attempt), Fence(body.fence), _named(body.document, copy))
        case messages.RemoveBody():
            return Remove(attempt_of(body.attempt), Fence(body.fence), _named(body.document, copy))
        case messages.RepairBody():
            found = Copy(
                _named(body.current, copy), None if body.pending is None else _named(body.pending, copy)
            )
            return Repair(attempt_of(body.attempt), Fence(body.fence), found, _written(body.document))
        case _:
            raise LocalProtocolError(f"a {type(body).__name__} asks nothing")


def reply_of(answer: Answer) -> Message:
    """The message that carries *answer*."""
    match answer:
        case Granted(attempt, fence, lasts):
            return messages.GrantedReply(attempt=attempt_text(attempt), fence=fence, lasts=lasts)
        case Behind():
            return messages.BehindReply(
                attempt=attempt_text(answer.attempt),
                other=attempt_text(answer.other),
                other_command=command_text(answer.other_command),
                ends_in=answer.ends_in,
            )
        case Copy():
            return _copy_reply(answer)
        case StaleBase(copy):
            return messages.StaleBaseReply(copy_=_copy_reply(copy))
        case LeaseStatus():
            return _lease_reply(answer)
        case _:
            word = next(word for word, plain in _PLAIN.items() if plain == answer)
            return messages.PlainReply.model_validate({"word": word})


def answer_of(reply: Message) -> Answer:
    """What a cluster answered. RemoteProtocolError for a message that is no answer."""
    match reply:
        case messages.GrantedReply():
            return Granted(attempt_of(reply.attempt), Fence(reply.fence), Milliseconds(reply.lasts))
        case messages.BehindReply():
            return Behind(
                attempt_of(reply.attempt),
                attempt_of(reply.other),
                command_of(reply.other_command),
                _optional_ms(reply.ends_in),
            )
        case messages.CopyReply():
            return _copy_of(reply)
        case messages.StaleBaseReply():
            return StaleBase(_copy_of(reply.copy_))
        case messages.PlainReply():
            return _PLAIN[reply.word]
        case messages.LeaseReply():
            return _lease_of(reply)
        case _:
            raise RemoteProtocolError(f"a {type(reply).__name__} answers nothing about a network")


def attempt_text(attempt: Attempt) -> messages.AttemptText:
    """An attempt as it travels."""
    return messages.AttemptText(ticket=attempt.ticket, id=attempt.id, who=address_bytes(attempt.who))


def attempt_of(text: messages.AttemptText) -> Attempt:
    """The same back."""
    return Attempt(text.ticket, text.id, address_from_bytes(text.who))


def command_text(command: Command) -> messages.CommandText:
    """What people are told of a command, cut to what a message takes."""
    what, machine = sendable(command.what, MAX_WORDS), sendable(command.machine, MAX_WORDS)
    return messages.CommandText(what=what, machine=machine, since=command.since)


def command_of(text: messages.CommandText) -> Command:
    """The same back."""
    return Command(text.what, text.machine, UnixSeconds(text.since))


def document_bytes(document: Document) -> messages.DocumentBytes:
    """A document as it travels and is kept."""
    return messages.DocumentBytes(generation=document.generation, body=document.body)


def document_of(whole: messages.DocumentBytes) -> Document:
    """The same back."""
    return Document(Generation(whole.generation), whole.body)


def broken_text(broken: Broken) -> messages.BreakText:
    """A broken lease as it travels and is kept."""
    return messages.BreakText(
        at=broken.at,
        by=address_bytes(broken.by),
        attempt=attempt_text(broken.attempt),
        command=command_text(broken.command),
        reason=broken.reason,
    )


def broken_of(text: messages.BreakText) -> Broken:
    """The same back."""
    attempt, command = attempt_of(text.attempt), command_of(text.command)
    return Broken(attempt, command, address_from_bytes(text.by), text.reason, UnixSeconds(text.at))


def name_of(document: Document) -> messages.DocumentName:
    """What names a document to somebody who has it."""
    digest = hashlib.sha256(document.body).digest()
    return messages.DocumentName(generation=document.generation, digest=digest)


def _written(whole: messages.DocumentBytes) -> Document:
    """A document that somebody wants kept: nothing at all is none."""
    document = document_of(whole)
    if not document.generation or not document.body:
        raise RemoteProtocolError("a document needs a generation above 0 and a body", rule="document")
    return document


def _named(name: messages.DocumentName, copy: Copy) -> Document:
    for document in (copy.current, copy.pending, NOTHING):
        if document is not None and name_of(document) == name:
            return document
    return Document(Generation(-1), b"")


def _copy_reply(copy: Copy) -> messages.CopyReply:
    pending = None if copy.pending is None else document_bytes(copy.pending)
    return messages.CopyReply(current=document_bytes(copy.current), pending=pending)


def _copy_of(reply: messages.CopyReply) -> Copy:
    pending = None if reply.pending is None else document_of(reply.pending)
    return Copy(document_of(reply.current), pending)


def _lease_reply(status: LeaseStatus) -> messages.LeaseReply:
    return messages.LeaseReply(
        fence=status.fence,
        holder=attempt_text(status.holder) if status.holder else None,
        command=command_text(status.command) if status.command else None,
        ends_in=status.ends_in,
        waiters=[
            messages.WaiterText(
                attempt=attempt_text(one.attempt), command=command_text(one.command), aside=one.aside
            )
            for one in status.waiting
        ],
        breaks=[broken_text(one) for one in status.breaks],
    )


def _lease_of(reply: messages.LeaseReply) -> LeaseStatus:
    return LeaseStatus(
        Fence(reply.fence),
        attempt_of(reply.holder) if reply.holder else None,
        command_of(reply.command) if reply.command else None,
        _optional_ms(reply.ends_in),
        tuple(
            LeaseWaiter(attempt_of(one.attempt), command_of(one.command), one.aside) for one in reply.waiters
        ),
        tuple(broken_of(one) for one in reply.breaks),
    )


def _optional_ms(value: int | None) -> Milliseconds | None:
    return None if value is None else Milliseconds(value)
