# SPDX-License-Identifier: Apache-2.0
"""What is made at random for a pod: each value once, kept, and made anew on an explicit word only. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from trustedpods.manifests.spec.volume import KEY_TYPES, Generated
from trustedpods.protocol.errors import Refused
from trustedpods.provider.core.generated.key_pairs import made_key, private_file, private_key


@dataclass(frozen=True, slots=True)
class MadeFiles:
    """Files of one secret volume that were made here, and for which `renewal` those were whose is not 0.

    `types` are those of keys, as far as they were noted: 32 bytes as hex or base64 do not say themselves.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    renewals: Mapping[str, int] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)


def key_types(wanted: Mapping[str, Generated]) -> dict[str, str]:
    """The type of each of *wanted* that is a key."""
    return {name: form.type for name, form in wanted.items() if form.type in KEY_TYPES}


def with_generated(
    wanted: Mapping[str, Generated], kept: Sequence[MadeFiles], random: Callable[[int], bytes]
) -> MadeFiles:
    """The value of each of *wanted*: the first *kept* of it that has its form, else of *random* bytes.

    What was kept for a lower `renewal` than is wanted counts for nothing. A key of another encoding is the
    same key. Refused (rule `generated-key`) where a key would be made in the place of what is none of its
    type: that takes a higher `renewal`.
    """
    files, renewals = {}, {}
    for name, form in wanted.items():
        held = [
            (one.files[name], one.renewals.get(name, 0), one.types.get(name, form.type))
            for one in kept
            if name in one.files and one.renewals.get(name, 0) >= form.renewal
        ]
        fitting = (
            (value, number)
            for content, number, noted in held
            if (noted == form.type or form.type not in KEY_TYPES)
            and (value := _kept(content, form)) is not None
        )
        value, number = next(fitting, (None, form.renewal))
        if value is None and held and form.type in KEY_TYPES:
            text = f"what was kept as {name} is no {form.type} key: another one takes"
            raise Refused(f"{text} `renewal: {held[0][1] + 1}`", rule="generated-key")
        files[name] = _made(form, random) if value is None else value
        if number:
            renewals[name] = number
    return MadeFiles(files, renewals, key_types(wanted))


_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_FORMS = {"password": rb"[A-Za-z0-9]*", "hex": rb"[0-9a-f]*", "bytes": rb"(?s:.*)"}


def _kept(content: bytes, form: Generated) -> bytes | None:
    """What was kept, as it is wanted now; None where it has another form."""
    if form.type in KEY_TYPES:
        key = private_key(content, form.type)
        return None if key is None else private_file(key, form.encoding)
    fits = len(content) == form.length and re.fullmatch(_FORMS[form.type], content) is not None
    return content if fits else None


def _made(form: Generated, random: Callable[[int], bytes]) -> bytes:
    if form.type in KEY_TYPES:
        return private_file(made_key(form.type, random), form.encoding)
    if form.type == "bytes":
        return random(form.length)
    if form.type == "hex":
        return random((form.length + 1) // 2).hex()[: form.length].encode()
    return _letters(form.length, random)


def _letters(length: int, random: Callable[[int], bytes]) -> bytes:
    """Each letter as likely as any other: bytes beyond the last whole round of letters are thrown away."""
    made = b""
    while len(made) < length:
        fair = (byte for byte in random(length) if byte < 256 - 256 % len(_LETTERS))
        made += bytes(_LETTERS[byte % len(_LETTERS)] for byte in fair)
    return made[:length]
