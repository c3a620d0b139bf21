# SPDX-License-Identifier: Apache-2.0
"""Policies as files: TOML in which every field is there, and nothing else (docs/attestation.md).

What may be anything says so ("any"); an empty list is an error, as is a platform that is accepted
without a description, or described without being accepted. Measurements may be left to the release
file (`attestation.releases`), which the caller finds.
"""

import hashlib
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from pydantic import ValidationError

from trustedpods.protocol.attestation.policy.entries import snp_entries, tdx_entries
from trustedpods.protocol.attestation.policy.model import LISTED, PolicyFile, digests
from trustedpods.protocol.attestation.policy.policy import Policy
from trustedpods.protocol.attestation.releases.model import ImageRelease
from trustedpods.protocol.attestation.snp.policy import SnpEntry
from trustedpods.protocol.attestation.tdx.policy import TdxEntry
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.limits import KIB
from trustedpods.protocol.whole_file import read_whole

MAX_POLICY: Final = 256 * KIB
"""A digest for each of a thousand VM shapes, with comments."""

MAX_DOTS: Final = 200
"""In one line: tomllib takes time that grows with the square of a dotted key's length."""

_TABLE: Final = re.compile(r"\s*\[(\[?)\s*([A-Za-z_-]+)\s*\]\]?\s*(#.*)?$")
_KEY: Final = re.compile(r"\s*(?:\"([^\"]*)\"|'([^']*)'|([A-Za-z0-9_-]+))\s*[.=]")


class Releases(Protocol):
    """Who finds the newest release file; both raise what `releases.file` and `releases.order` raise."""

    def demanded(self, least: int) -> ImageRelease:
        """The file, for a policy that takes its values from number *least* or later."""

    def for_names(self) -> ImageRelease | None:
        """The file, for a policy that only wants images called by their names; None without one."""


def load_policy(path: Path, releases: Releases | None = None) -> Policy:
    """The policy in a file; BadInput, with file, line and field, for whatever is wrong with it.

    What *releases* raises comes through.
    """
    raw = read_whole(path, MAX_POLICY, "the policy")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise BadInput("the policy is not UTF-8 text", where=str(path)) from None
    return parse_policy(text, str(path), releases)


def parse_policy(text: str, where: str, releases: Releases | None = None) -> Policy:
    """The policy that *text* says; *where* names it in errors. Raises as `load_policy`."""
    if len(text) > MAX_POLICY:
        raise BadInput(f"a policy of more than {MAX_POLICY // KIB} KiB", where=where)
    if any(line.count(".") > MAX_DOTS for line in text.splitlines()):
        raise BadInput("not a policy: a line with hundreds of dots", where=where)
    try:
        tree = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise BadInput(f"not valid TOML: {error}", where=where) from None
    try:
        model = PolicyFile.model_validate(tree)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_context=False)[0]
        location = [part for part in first["loc"] if part != LISTED]
        raise _at(text, where, location, _words(first)) from None
    digest = hashlib.sha256(text.encode()).hexdigest()
    release = _release(model, text, where, releases)
    return _build(model, text, where, f"{where} ({digest[:12]})", release)


def _release(model: PolicyFile, text: str, where: str, releases: Releases | None) -> ImageRelease | None:
    if model.min_release is None:
        return None if releases is None else releases.for_names()
    if releases is None:
        raise _at(text, where, ("min_release",), "no release file can be had here")
    return releases.demanded(model.min_release)


def _build(model: PolicyFile, text: str, where: str, label: str, release: ImageRelease | None) -> Policy:
    """The entries are checked once more as what they become."""
    snp: list[SnpEntry] = []
    tdx: list[TdxEntry] = []
    for number, snp_model in enumerate(model.snp):
        try:
            snp += snp_entries(snp_model, release)
        except BadInput as error:
            raise _at(text, where, ("snp", number, error.where or ""), error.what) from None
    for number, tdx_model in enumerate(model.tdx):
        try:
            tdx += tdx_entries(tdx_model, release)
        except BadInput as error:
            raise _at(text, where, ("tdx", number, error.where or ""), error.what) from None
    return Policy(
        snp=tuple(snp),
        tdx=tuple(tdx),
        localnets=tuple(market.localnet() for market in model.simulated),
        config_digests=digests(model.config_digests),
        allow_sealed="sealed" in model.trust,
        allow_open="open" in model.trust,
        require_hardware="none" not in model.accept,
        max_evidence=model.max_evidence_bytes,
        label=label,
        image_signers=tuple(one.signer() for one in model.image_signers),
        release=release,
    )


def _words(error: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    match error["type"]:
        case "extra_forbidden":
            return "unknown field"
        case "missing":
            return "the field is missing: a policy accepts nothing by omission"
        case "too_short":
            return "an empty list"
        case _:
            return str(error["msg"]).removeprefix("Value error, ")


def _at(text: str, where: str, location: Sequence[int | str], what: str) -> BadInput:
    """The error with the line of the deepest part of *location* that is in the text."""
    field = ".".join(str(part + 1 if isinstance(part, int) else part) for part in location if part != "")
    line = _line(text, location)
    return BadInput(f"{field}: {what}" if field else what, where=f"{where}:{line}" if line else where)


def _line(text: str, location: Sequence[int | str]) -> int | None:
    """Where a field is written; else its table; None for what is nowhere."""
    if not location:
        return None
    table, number, key = _path(location)
    found: int | None = None
    current, seen = "", -1
    for at, line in enumerate(text.splitlines(), 1):
        header = _TABLE.match(line)
        if header:
            current = header[2]
            seen += current == table
            if current == table and seen == number:
                found = at
            continue
        inside = current == table and seen == number if table else not current
        name = _KEY.match(line)
        if inside and name and key in name.groups():
            return at
    return found


def _path(location: Sequence[int | str]) -> tuple[str, int, str]:
    """(table, which of them, key) of a field; table is "" for those at the top."""
    first, *rest = location
    if rest and isinstance(rest[0], int) and len(rest) > 1:
        return str(first), rest[0], str(rest[1])
    if rest and isinstance(rest[0], int) and first in ("snp", "tdx", "simulated", "image_signers"):
        return str(first), rest[0], ""
    return "", -1, str(first)
