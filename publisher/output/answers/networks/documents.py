# SPDX-License-Identifier: Apache-2.0
"""Answers of `lock`, `state`, `history`, and of the verbs on a network's team."""

from typing import Annotated, TypedDict

from trustedpods.publisher.output.answers.networks.nodes import NetworkJson, UnknownJson
from trustedpods.publisher.output.answers.words import Meaning, UnixTime


class AttemptJson(TypedDict):
    """A command that has the lease, or wants it: whose it is, on which machine, since when."""

    who: str
    attempt: str
    ticket: int
    command: str
    machine: str
    since: UnixTime


class HolderJson(AttemptJson):
    """Who has the lease, and when it ends by itself if it is not renewed."""

    ends_in_ms: Annotated[int | None, Meaning("Milliseconds.")]


class WaiterJson(AttemptJson):
    """Who waits for the lease; `aside`: he lets others pass."""

    aside: bool


class BrokenJson(AttemptJson):
    """A lease that somebody broke, and why."""

    by: str
    reason: str
    at: UnixTime


class LeaseJson(TypedDict):
    """The lease of one cluster. `fence` grows with each holder: writes of an earlier one are refused."""

    fence: int
    holder: HolderJson | None
    waiting: list[WaiterJson]
    broken: list[BrokenJson]


class LeasesJson(NetworkJson):
    """The lease of each cluster, or why it is not known."""

    clusters: dict[str, LeaseJson | UnknownJson]


class BreakJson(NetworkJson):
    """Whose lease was broken in each cluster; null where nobody held one."""

    reason: str
    broken: dict[str, str | None]


class ArgumentJson(TypedDict):
    """An argument of a command, as it was typed. What was given as a secret is not kept: null."""

    name: str
    value: str | None
    secret: bool


class CommandJson(TypedDict):
    """A command that somebody ran. `ended` and `result` are null where nobody saw its end."""

    began: UnixTime
    ended: UnixTime | None
    by: str
    verb: str
    arguments: list[ArgumentJson]
    result: str | None
    generation: int


class HistoryJson(NetworkJson):
    """Commands, oldest first; so many older ones were `dropped`."""

    dropped: int
    commands: list[CommandJson]


class MembersJson(NetworkJson):
    """Roles by address, clusters that were declared lost with the reason, and the generation that says so."""

    members: dict[str, str]
    lost: dict[str, str]
    generation: int


class DocumentJson(TypedDict):
    """A network's document. `content` is its digest, cut: equal where the documents are."""

    generation: int
    content: str
    bytes: int


class CopyJson(DocumentJson):
    """What one cluster keeps; `pending` is being written there."""

    pending: DocumentJson | None


class CopiesJson(NetworkJson):
    """The copy of each cluster, or why it is not known. `difference`: the first one, empty for none."""

    clusters: dict[str, CopyJson | UnknownJson]
    being_written: bool
    difference: str


FromClusterPart = TypedDict("FromClusterPart", {"from": str})
"""A field whose name is a word of Python's."""


class RepairJson(FromClusterPart, NetworkJson, DocumentJson):
    """The document of the cluster `from`, which all clusters have now."""


class StateBackupJson(NetworkJson, DocumentJson):
    """The file that holds the document now."""

    file: str


class MigrateJson(NetworkJson):
    """What was done, or would be: then `generation` is null."""

    from_schema: int
    to_schema: int
    migrations: list[str]
    generation: int | None


class StateRestoreJson(NetworkJson, DocumentJson):
    """The document that counts now, the generation that it had in the backup, and what it changed."""

    from_generation: int
    differences: list[str]


class ConnectJson(NetworkJson):
    """Clusters of a network with their providers. `begun`: it was not there before."""

    clusters: dict[str, str]
    begun: bool
    generation: int
