# SPDX-License-Identifier: Apache-2.0
"""Bodies and replies of the verb `network`: a network's lease and its document, as they travel.

What each question means stands with its twin in `protocol/networks/`; `networks/wire.py` translates. A
document that the other side has is named by its digest and not sent again.
"""

from typing import Annotated, Literal

from pydantic import Field

from trustedpods.protocol.limits import KIB
from trustedpods.protocol.messages.base import U32, U64, Bytes20, Bytes32, Message, ShortText

MAX_DOCUMENT = 384 * KIB
"""A document's body (`sealed_documents.MAX_BODY`): two of them fit into the 1 MiB of a Kubernetes Secret."""

MAX_NETWORK_REQUEST = 512 * KIB
"""A request of the verb `network`: one document, and what is around it."""

MAX_KEPT_NETWORKS = 128
"""Networks of one cluster: at most 0.1 GiB of an etcd that holds two by default."""

MAX_TOLD_WAITERS = 64
MAX_TOLD_BREAKS = 16

Counter = Annotated[int, Field(ge=0, lt=1 << 62)]
"""A ticket, fence or generation: far from where 64 bits end."""

NetworkNameText = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$")]
AttemptId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class AttemptText(Message):
    """See `networks.leases.Attempt`."""

    ticket: Counter
    id: AttemptId
    who: Bytes20


class CommandText(Message):
    """See `networks.leases.Command`; `since` is in Unix seconds."""

    what: ShortText
    machine: ShortText
    since: U64


class DocumentBytes(Message):
    """A document that was written, whole."""

    generation: Counter
    body: Annotated[bytes, Field(max_length=MAX_DOCUMENT)]


class DocumentName(Message):
    """A document by its generation and the SHA-256 of its body."""

    generation: Counter
    digest: Bytes32


class NetworkQuestion(Message):
    """What all questions have: the network's name, which the request's salt is made of."""

    network: NetworkNameText


class AcquireBody(NetworkQuestion):
    """Ask for the lease."""

    kind: Literal["acquire"] = "acquire"
    attempt: AttemptText
    command: CommandText


class RenewBody(NetworkQuestion):
    """Ask for a whole duration from now."""

    kind: Literal["renew"] = "renew"
    attempt: AttemptText
    fence: Counter


class ReleaseBody(NetworkQuestion):
    """Let go of the lease."""

    kind: Literal["release"] = "release"
    attempt: AttemptText
    aside: bool


class AwaitEndBody(NetworkQuestion):
    """Has that attempt ended?"""

    kind: Literal["await-end"] = "await-end"
    attempt: AttemptText
    other: AttemptText


class ReadBody(NetworkQuestion):
    """The copy, please."""

    kind: Literal["read"] = "read"


class PrepareBody(NetworkQuestion):
    """Keep a document as pending."""

    kind: Literal["prepare"] = "prepare"
    attempt: AttemptText
    fence: Counter
    base: DocumentName
    document: DocumentBytes


class CommitBody(NetworkQuestion):
    """Let the pending document count."""

    kind: Literal["commit"] = "commit"
    attempt: AttemptText
    fence: Counter
    document: DocumentName


class RepairBody(NetworkQuestion):
    """Put a document in the place of what was found."""

    kind: Literal["repair"] = "repair"
    attempt: AttemptText
    fence: Counter
    current: DocumentName
    pending: DocumentName | None
    document: DocumentBytes


class RemoveBody(NetworkQuestion):
    """Keep nothing more of the network."""

    kind: Literal["remove"] = "remove"
    attempt: AttemptText
    fence: Counter
    document: DocumentName


class AskLeaseBody(NetworkQuestion):
    """Who holds the lease, and who waits?"""

    kind: Literal["ask-lease"] = "ask-lease"


class BreakBody(NetworkQuestion):
    """End that attempt's grant, for a reason that is kept."""

    kind: Literal["break"] = "break"
    broken: AttemptText
    reason: Annotated[str, Field(min_length=1, max_length=512)]


class NamesBody(Message):
    """Which networks are kept here? It is about none of them: its name is empty, and so is the salt's."""

    kind: Literal["names"] = "names"
    network: Literal[""] = ""


class GrantedReply(Message):
    """The attempt holds the lease; `lasts` is in milliseconds."""

    kind: Literal["granted"] = "granted"
    attempt: AttemptText
    fence: Counter
    lasts: U32


class BehindReply(Message):
    """Another is ahead; `ends_in` is in milliseconds."""

    kind: Literal["behind"] = "behind"
    attempt: AttemptText
    other: AttemptText
    other_command: CommandText
    ends_in: U32 | None


class CopyReply(Message):
    """The cluster's copy."""

    kind: Literal["copy"] = "copy"
    current: DocumentBytes
    pending: DocumentBytes | None


class StaleBaseReply(Message):
    """Refused: the copy is another one than the writer took it for."""

    kind: Literal["stale-base"] = "stale-base"
    copy_: CopyReply


class PlainReply(Message):
    """The answers that are one word."""

    kind: Literal["plain"] = "plain"
    word: Literal["ended", "released", "not-held", "written"]


class WaiterText(Message):
    """One attempt that waits."""

    attempt: AttemptText
    command: CommandText
    aside: bool


class BreakText(Message):
    """One lease that somebody broke; `at` is in Unix seconds by the daemon's clock."""

    at: U64
    by: Bytes20
    attempt: AttemptText
    command: CommandText
    reason: ShortText


class LeaseReply(Message):
    """Who holds the lease, who waits, and which leases were broken, newest last."""

    kind: Literal["lease"] = "lease"
    fence: Counter
    holder: AttemptText | None
    command: CommandText | None
    ends_in: U32 | None
    waiters: Annotated[list[WaiterText], Field(max_length=MAX_TOLD_WAITERS)]
    breaks: Annotated[list[BreakText], Field(max_length=MAX_TOLD_BREAKS)]


class KeptNetwork(Message):
    """What everybody may learn of a network: who founded it, and its name."""

    founder: Bytes20
    name: NetworkNameText


class NamesReply(Message):
    """All networks that are kept here, by founder and name."""

    kind: Literal["names"] = "names"
    networks: Annotated[list[KeptNetwork], Field(max_length=MAX_KEPT_NETWORKS)]


NETWORK_QUESTIONS = (
    AcquireBody,
    RenewBody,
    ReleaseBody,
    AwaitEndBody,
    ReadBody,
    PrepareBody,
    CommitBody,
    RepairBody,
    RemoveBody,
    AskLeaseBody,
    BreakBody,
)
NETWORK_REPLIES = (GrantedReply, BehindReply, CopyReply, StaleBaseReply, PlainReply, LeaseReply)
