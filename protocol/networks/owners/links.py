# SPDX-License-Identifier: Apache-2.0
"""A link: what a network's state keeps of another owner whose nodes it calls, and lets in. Pure."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from trustedpods.protocol.messages.base import U64, Bytes20, Message
from trustedpods.protocol.networks.owners.exports import MAX_EXPORT

MAX_LINKS: Final = 16
"""Other owners of one network; their exports share the state with all else."""

Alias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,15}$")]
"""How another owner is called here. Without a dash: `ALIAS-NODE` is then one owner's node only."""

LinkState = Literal["imported", "invited", "joined", "accepted", "left"]
"""`imported` by a file alone; `invited` by us, who wait for the answer; `joined` by us, who wait to be
accepted; `accepted` on both sides as far as we know; `left` by either side."""


class OwnerLink(Message):
    """The other owner, and what he signed last of his nodes.

    `ours` is the key of ours that speaks to him. `invitation` is a digest, or empty where there was none,
    `expires` its Unix second. `export` is his newest export without files, or empty while none is known;
    of one who left it stays. `epoch` and `generation` are the age of the newest that he signed: nothing
    older is taken for news.
    """

    alias: Alias
    owner: Bytes20
    ours: Bytes20
    state: LinkState
    invitation: Annotated[bytes, Field(max_length=32)] = b""
    expires: U64 = 0
    export: Annotated[bytes, Field(max_length=MAX_EXPORT)] = b""
    epoch: U64 = 0
    generation: U64 = 0

    @property
    def age(self) -> tuple[int, int]:
        """Of the newest that he signed, as of `NetworkExport`."""
        return self.epoch, self.generation

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if len(self.invitation) not in (0, 32) or (
            self.state in ("invited", "joined") and not self.invitation
        ):
            raise ValueError("a link waits for an invitation's answer, and names none")
        if self.owner == self.ours:
            raise ValueError("a link leads to another owner")
        if not self.export and self.state in ("imported", "joined", "accepted"):
            raise ValueError("a link has nodes, and no export that names them")
        return self
