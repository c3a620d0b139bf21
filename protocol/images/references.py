# SPDX-License-Identifier: Apache-2.0
"""Names of images in registries, as Docker reads them: `redis:7`, `ghcr.io/team/app@sha256:...`. Pure.

The grammar is that of github.com/distribution/reference, with sha256 as the only digest.
"""

import re
from dataclasses import dataclass, replace

from trustedpods.protocol.errors import BadInput

HUB = "docker.io"
"""The registry of a name that says none."""

_OFFICIAL = "library/"
_LATEST = "latest"

MAX_REPOSITORY = 255
"""Bytes of a repository's name: the specification's own bound."""

_HOST_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_HOST_PART}(?:\.{_HOST_PART})*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?"
_PATH_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_NAME = rf"(?P<host>{_HOST})/(?P<repository>{_PATH_PART}(?:/{_PATH_PART})*)"
_REFERENCE = re.compile(
    rf"{_NAME}(?::(?P<tag>[\w][\w.-]{{0,127}}))?(?:@(?P<digest>sha256:[0-9a-f]{{64}}))?", re.ASCII
)
_IDENTIFIER = re.compile(r"[0-9a-f]{64}")
"""An image's id without its algorithm: Docker refuses it as a name, for it would mean two things."""


@dataclass(frozen=True, slots=True)
class ImageReference:
    """An image of a registry: *host* with its port, *repository*, and a tag, a digest, or both.

    With both the digest says which image it is.
    """

    host: str
    repository: str
    tag: str | None
    digest: str | None

    def __str__(self) -> str:
        """In full, with nothing left out."""
        tag = "" if self.tag is None else f":{self.tag}"
        return f"{self.host}/{self.repository}{tag}" + ("" if self.digest is None else f"@{self.digest}")

    @property
    def asked(self) -> str:
        """What a registry is asked for: the digest, else the tag."""
        return self.digest or self.tag or _LATEST

    @property
    def short_name(self) -> str:
        """The last part of the repository: what a person calls the image."""
        return self.repository.rpartition("/")[2]

    def pinned(self, digest: str) -> "ImageReference":
        """This repository's image of that *digest*."""
        return replace(self, tag=None, digest=digest)

    def tagged(self, tag: str) -> "ImageReference":
        """What this repository has under *tag*."""
        return replace(self, tag=tag, digest=None)


def parse_reference(text: str) -> ImageReference:
    """The image that *text* names, with what Docker leaves out put in. Raises `BadInput`."""
    found = None if len(text) > 2 * MAX_REPOSITORY + 256 else _REFERENCE.fullmatch(_with_host(text))
    if found is None or _IDENTIFIER.fullmatch(text):
        raise BadInput(f"not the name of an image: {text[:128]!r}", hint=_advice(text))
    host, repository = found["host"], found["repository"]
    if host == HUB and "/" not in repository:
        repository = _OFFICIAL + repository
    if len(repository) > MAX_REPOSITORY:
        raise BadInput(f"the image's name is longer than {MAX_REPOSITORY}: {text[:64]!r}...")
    tag, digest = found["tag"], found["digest"]
    return ImageReference(host, repository, _LATEST if tag is None and digest is None else tag, digest)


def is_reference(text: str) -> bool:
    """Whether it can be the name of an image in a registry."""
    try:
        parse_reference(text)
    except BadInput:
        return False
    return True


def _with_host(text: str) -> str:
    """The name with its registry: the part before the first `/` is one where it cannot be a folder's name."""
    first, slash, rest = text.partition("/")
    if not slash or (not re.search("[.:]", first) and first != "localhost" and first == first.lower()):
        return f"{HUB}/{text}"
    return f"{HUB}/{rest}" if first == f"index.{HUB}" else text


def _advice(text: str) -> str:
    if text != text.lower() and is_reference(text.lower()):
        return f"names of images are written small: {text.lower()[:128]}"
    return "write HOST/REPOSITORY:TAG, as registry.example.org/team/app:1.2, or redis:7 for docker.io's"
