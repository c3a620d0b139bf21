# SPDX-License-Identifier: Apache-2.0
"""Exports and invitations as lines of text that people send each other."""

import base64
import binascii
from collections.abc import Callable
from typing import Final, TypeVar

from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import BadInput, RemoteProtocolError
from trustedpods.protocol.networks.owners.exports import NetworkExport, read_export
from trustedpods.protocol.networks.owners.invitations import MAX_INVITATION, Invitation, read_invitation

EXPORT_HEAD: Final = "trustedpods-export:"
INVITATION_HEAD: Final = "trustedpods-invitation:"

MAX_TEXT_BYTES: Final = MAX_INVITATION * 4 // 3 + 1024
"""Of a file that holds one: base64, its head, and a line's end."""

T = TypeVar("T")


def export_text(export: NetworkExport) -> str:
    """An export as one line."""
    return EXPORT_HEAD + base64.b64encode(encode(export)).decode()


def invitation_text(invitation: Invitation) -> str:
    """An invitation as one line."""
    return INVITATION_HEAD + base64.b64encode(encode(invitation)).decode()


def export_of(text: bytes, where: str) -> NetworkExport:
    """The export in what a file holds. BadInput for what is none, Refused as `read_export`."""
    return _read(text, where, EXPORT_HEAD, "an export of a network", read_export)


def invitation_of(text: bytes, where: str) -> Invitation:
    """The invitation in what a file holds. BadInput for what is none, Refused as `read_invitation`."""
    return _read(text, where, INVITATION_HEAD, "an invitation", read_invitation)


def _read(text: bytes, where: str, head: str, what: str, read: Callable[[bytes], T]) -> T:
    if len(text) > MAX_TEXT_BYTES:
        raise BadInput(f"larger than {MAX_TEXT_BYTES // 1024} KiB, as {what} never is", where=where)
    try:
        found = text.decode("ascii").strip()
        if not found.startswith(head):
            raise BadInput(f"it does not begin with `{head}`, as {what} does", where=where)
        return read(base64.b64decode(found.removeprefix(head), validate=True))
    except (UnicodeDecodeError, binascii.Error):
        raise BadInput(f"it is not {what}, or not all of it", where=where) from None
    except RemoteProtocolError as error:
        raise BadInput(f"it is not {what}: {error.what}", where=where) from None
