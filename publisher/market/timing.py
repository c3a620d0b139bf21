# SPDX-License-Identifier: Apache-2.0
"""How long a client waits for others, in one place. Seconds throughout."""

from dataclasses import dataclass

from trustedpods.protocol.net.bounds import PAUSE_S


@dataclass(frozen=True, slots=True)
class Timing:
    """The waits of one client."""

    dial_s: float = 10.0
    """A provider on the other side of the world answers in one; an absent one costs this much."""

    attest_s: float = 20.0
    """Firmware needs some 10 ms for a report; the rest is for a machine that is busy."""

    select_s: float = 90.0
    """For the whole search for a provider: at 32 a second more than two thousand silent rows."""

    reconnect_s: float = 1.0
    """Between two attempts to reach a provider that went away in a deploy."""

    update_look_s: float = 1.0
    """Between two looks at a provider that goes back to the version before."""

    turn_s: float = 0.0
    """How long a verb waits for another one on this machine that has the pod: `--wait`, where it is given."""

    payer_s: float | None = None
    """How long a payer is waited for: `--wait`; if not given a person at a device has its usual time, and a
    Safe, whose owners may take days, none."""

    release_s: float = 90.0
    """How long a provider that said no may take to give the money back: some of its claim batches."""

    silent_s: float = 10.0
    """The same for one that went silent: it may have released just before."""

    unsure_s: float = 5.0
    """The same for a channel of an earlier run: an update that failed leaves it to the pod that runs."""

    heartbeat_s: float = 3.0
    """Between two questions to a silent provider while a terminal or a connection is carried."""

    quiet_s: float = 8.0
    """Silence after which it is said: two answers did not come."""

    pause_s: float = PAUSE_S
    """Silence after which the provider is given up while a terminal or a connection is carried."""

    delete_s: float = 900.0
    """For a removal. A provider that goes on telling steps keeps nobody from the deposit (`close`)."""
