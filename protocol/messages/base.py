# SPDX-License-Identifier: Apache-2.0
"""The common ground of all bodies: field types with bounds, the strict base class, general replies."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Bytes32 = Annotated[bytes, Field(min_length=32, max_length=32)]
Bytes20 = Annotated[bytes, Field(min_length=20, max_length=20)]
U32 = Annotated[int, Field(ge=0, lt=1 << 32)]
U64 = Annotated[int, Field(ge=0, lt=1 << 64)]
U256 = Annotated[int, Field(ge=0, lt=1 << 256)]
ShortText = Annotated[str, Field(max_length=512)]
LongText = Annotated[str, Field(max_length=8192)]
MAX_TOLD = 8000
"""Signs of a `LongText` that quotes others: what Kubernetes says of an object has no bound."""

StreamVersion = Annotated[int, Field(ge=1, le=1)]
"""Of the messages that follow a request on its stream; a peer that knows only others refuses the request."""

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


def sendable(text: str, most: int = MAX_TOLD) -> str:
    """*text* as a message takes it: of that length, and without what is no UTF-8 (half a surrogate pair)."""
    return text[:most].encode(errors="replace").decode()


class Message(BaseModel):
    """Base of everything that is framed: immutable, strict, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class Progress(Message):
    """A step of long work: `step` is stable, `text` is for people."""

    kind: Literal["progress"] = "progress"
    step: ShortText
    text: LongText
    done: U64 | None = None
    total: U64 | None = None


class Done(Message):
    """A verb that has nothing more to say."""

    kind: Literal["done"] = "done"
    text: LongText = ""
    transaction: Bytes32 | None = None
