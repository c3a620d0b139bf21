# SPDX-License-Identifier: Apache-2.0
"""`open`: which address of a pod a browser is led to."""

from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Self

from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.results.pods import StatusResult

SCHEMES = ("https://", "http://")
"""What a browser opens; addresses of tcp and udp are for other programs."""


@dataclass(frozen=True, slots=True)
class OpenedPod:
    """The address of one service of a pod, and whether a browser was shown it."""

    pod: str
    service: str
    url: str
    opened: bool = False

    @classmethod
    def of(cls, status: StatusResult, service: str | None) -> Self:
        """The first address of *service*, else of the first service that has one for a browser.

        Raises `BadInput` where there is none.
        """
        found = {one.name: url for one in status.services for url in one.urls[:1] if url.startswith(SCHEMES)}
        name = service or next(iter(found), None)
        if name not in found:
            raise _none(status, service, list(found))
        return cls(status.pod.name, name, found[name])

    def shown(self) -> Self:
        """The same, once a browser has it."""
        return replace(self, opened=True)

    @property
    def line(self) -> str:
        """For people, and for `$(...)`."""
        return self.url


def _none(status: StatusResult, service: str | None, found: list[str]) -> BadInput:
    pod = status.pod.name
    if service is None or not found:
        return BadInput(
            f"no service of {pod} has an address for a browser; it is {status.phase}",
            hint=f"`trustedpods status {pod}` shows all addresses, `trustedpods port-forward {pod} PORT` "
            "leads to a port of it",
        )
    near = get_close_matches(service, found, 1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    return BadInput(
        f"{pod} has no {service!r} for a browser", where="--service", hint=meant + ", ".join(found)
    )
