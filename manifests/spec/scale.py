# SPDX-License-Identifier: Apache-2.0
"""How many replicas there are, and when a pod sleeps."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trustedpods.manifests.spec.part import ManifestPart
from trustedpods.manifests.spec.quantity import Seconds
from trustedpods.protocol.limits import MAX_REPLICAS

SLEEP_URL = "TRUSTEDPODS_SLEEP_URL"
"""Variable of the containers of a pod with `ownSleep`: where a POST asks for it, at `SLEEP_PATH`."""

SLEEP_PATH = "/sleep"


DEFAULT_WARM_S = 600
"""Seconds that a warm sleep lasts where nothing is said: who comes back does so within minutes, mostly."""


class Scale(ManifestPart):
    """How many replicas: `min` 0 lets the pod sleep after `idleAfter` without a request.

    A connection that has carried nothing for `idleConnection` does not keep the pod awake, and is
    closed when it falls asleep; one that is older than `maxConnectionAge` is closed anyway. With `ownSleep`
    its containers may ask for its sleep before `idleAfter` is over, at `$TRUSTEDPODS_SLEEP_URL`.
    With `sleep: warm` an idle pod's replicas are frozen for `warmFor` (10m) before they go, and its next
    request finds them as they were; where the provider cannot, or needs the memory, they go at once.
    """

    min: Annotated[int, Field(ge=0, le=MAX_REPLICAS)] = 0
    max: Annotated[int, Field(ge=1, le=MAX_REPLICAS)] = 1
    idle_after: Seconds | None = None
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 50
    idle_connection: Seconds = 600
    max_connection_age: Seconds = 86_400
    sleep: Literal["cold", "warm"] = "cold"
    warm_for: Annotated[Seconds, Field(ge=1)] | None = None
    own_sleep: bool = False

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        if self.own_sleep and self.min:
            raise ValueError("ownSleep needs min: 0; a pod that always runs never sleeps")
        if self.sleep == "warm" and self.min:
            raise ValueError("sleep: warm needs min: 0; a pod that always runs never sleeps")
        if self.warm_for is not None and self.sleep != "warm":
            raise ValueError("warmFor needs sleep: warm")
        return self

    @property
    def warm_s(self) -> int:
        """Seconds for which an idle pod's replicas are kept frozen; 0 where they go at once."""
        if self.sleep == "cold":
            return 0
        return DEFAULT_WARM_S if self.warm_for is None else self.warm_for
