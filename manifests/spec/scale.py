# SPDX-License-Identifier: Apache-2.0
"""How many replicas there are, and when a pod sleeps."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from trustedpods.manifests.spec.part import ManifestPart
from trustedpods.manifests.spec.quantity import Seconds
from trustedpods.protocol.limits import MAX_REPLICAS

SLEEP_URL = "TRUSTEDPODS_SLEEP_URL"
"""Variable of the containers of a pod with `ownSleep`: where a POST asks for it, at `SLEEP_PATH`."""

SLEEP_PATH = "/sleep"


class Scale(ManifestPart):
    """How many replicas: `min` 0 lets the pod sleep after `idleAfter` without a request.

    A connection that has carried nothing for `idleConnection` does not keep the pod awake, and is
    closed when it falls asleep; one that is older than `maxConnectionAge` is closed anyway. With `ownSleep`
    its containers may ask for its sleep before `idleAfter` is over, at `$TRUSTEDPODS_SLEEP_URL`.
    """

    min: Annotated[int, Field(ge=0, le=MAX_REPLICAS)] = 0
    max: Annotated[int, Field(ge=1, le=MAX_REPLICAS)] = 1
    idle_after: Seconds | None = None
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 50
    idle_connection: Seconds = 600
    max_connection_age: Seconds = 86_400
    own_sleep: bool = False

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        if self.own_sleep and self.min:
            raise ValueError("ownSleep needs min: 0; a pod that always runs never sleeps")
        return self
