# SPDX-License-Identifier: Apache-2.0
"""What `expose: ingress` says beside hosts and certificate, named as in `networking.k8s.io/v1` Ingress."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from trustedpods.manifests.spec.part import STRICT, Spelling
from trustedpods.protocol.messages.capabilities import MAX_ANNOTATIONS

IngressClassName = Annotated[
    str,
    Field(max_length=253),
    Spelling(
        r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
        "a class that a provider offers, as traefik or nginx (`trustedpods provider inspect` lists them)",
    ),
]
IngressPathText = Annotated[
    str,
    Spelling(
        r"/|(/\.?[0-9A-Za-z_~-][0-9A-Za-z._~-]{0,63}){1,8}",
        "`/`, or a path as /api or /api/v1: up to 8 parts of letters, digits, `.`, `_`, `~`, `-`; "
        "no `/` at its end",
    ),
]
AnnotationName = Annotated[
    str,
    Spelling(
        r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?",
        "an annotation of the class, as traefik.ingress.kubernetes.io/router.priority",
    ),
]
AnnotationValue = Annotated[
    str,
    Spelling(r"[ -~]{0,512}", "up to 512 printable characters of ASCII, on one line"),
]


class IngressPart(BaseModel):
    """Base of every part of this section."""

    model_config = STRICT


class IngressPath(IngressPart):
    """Requests that lead here: `Prefix` compares whole parts of a path, `Exact` all of it."""

    path: IngressPathText = "/"
    path_type: Literal["Prefix", "Exact"] = "Prefix"


class Ingress(IngressPart):
    """The class whose controller serves the hosts, below which paths (without any: all), and how.

    `annotations` are told to the class's controller as they are; a provider lists those that it takes.
    """

    class_name: IngressClassName
    paths: Annotated[list[IngressPath], Field(max_length=16)] = []
    annotations: Annotated[dict[AnnotationName, AnnotationValue], Field(max_length=MAX_ANNOTATIONS)] = {}

    @property
    def routes(self) -> list[IngressPath]:
        """The paths, or the one that stands for all."""
        return self.paths or [IngressPath()]
