# SPDX-License-Identifier: Apache-2.0
"""What days of counts come to, and what of the profile is said beside it. Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from trustedpods.protocol.codec import decode
from trustedpods.protocol.messages.capabilities import Capabilities
from trustedpods.protocol.messages.provider import MAX_CAPABILITY_WORDS, Figures, Profile
from trustedpods.provider.metrics import COLD_START_BUCKETS_S
from trustedpods.provider.store.operator.service_days import KEPT_DAYS, DayCount

DAY_S = 86_400
WINDOW_DAYS = 30
"""A month: long enough that one bad day does not hide, short enough that an old one is over."""

BOUNDS_MS = tuple(round(1000 * bound) for bound in COLD_START_BUCKETS_S)

MAX_WORD = 64


@dataclass(frozen=True, slots=True)
class ServiceSums:
    """What was counted in the window: seconds, cold starts, and how many took no longer than each bound."""

    counted_s: int = 0
    up_s: int = 0
    cold_starts: int = 0
    cold_start_ms: int = 0
    within: tuple[int, ...] = (0,) * len(BOUNDS_MS)

    def bound_of(self, part: int, of: int) -> int | None:
        """The least bound (ms) within which *part* of *of* of them came; None without one."""
        if not self.cold_starts:
            return None
        wanted = zip(BOUNDS_MS, self.within, strict=False)
        return next((bound for bound, many in wanted if of * many >= part * self.cold_starts), None)


def sums_of(days: Sequence[DayCount], now: int) -> ServiceSums:
    """Of the last `WINDOW_DAYS` days, today with them, up to *now*.

    What lies between the first count and *now* is counted whole: a day of which there is no row was down.
    A day that a clock went through twice is no longer than a day, so that it makes up for no other.
    """
    first = (now // DAY_S - WINDOW_DAYS + 1) * DAY_S
    here = [one for one in days if first <= one.day * DAY_S <= now]
    known = [one.began for one in days if one.day >= now // DAY_S - KEPT_DAYS]  # not of a clock at 1970
    began = max(first, min(known, default=now))
    counted = max(0, now - began)
    alike = [one.within for one in here if len(one.within) == len(BOUNDS_MS)]
    return ServiceSums(
        counted_s=counted,
        up_s=min(counted, sum(min(one.up_s, DAY_S) for one in here)),
        cold_starts=sum(one.cold_starts for one in here),
        cold_start_ms=sum(one.cold_start_ms for one in here),
        within=tuple(map(sum, zip(*alike, strict=True))) if alike else (0,) * len(BOUNDS_MS),
    )


def figures_of(coded_profile: bytes, sums: ServiceSums, now: int, *, tcp: bool) -> Figures:
    """What is signed: of the profile only the fields named here. *tcp*: its facade has ports for that."""
    profile = decode(coded_profile, Profile)
    return Figures(
        owner=profile.owner,
        daemon=profile.daemon,
        trust=profile.trust,
        simulated=profile.simulated,
        region=profile.region,
        domain=profile.domain,
        token=profile.token,
        prices=profile.prices,
        capabilities=capability_words(profile.capabilities, tcp=tcp),
        profile_digest=hashlib.sha256(coded_profile).digest(),
        at=now,
        days=WINDOW_DAYS,
        counted_s=sums.counted_s,
        up_s=sums.up_s,
        cold_starts=sums.cold_starts,
        cold_start_ms=sums.cold_start_ms,
        half_within_ms=sums.bound_of(1, 2),
        nine_of_ten_within_ms=sums.bound_of(9, 10),
    )


def capability_words(has: Capabilities, *, tcp: bool) -> list[str]:
    """What a manifest may ask for, one line each; what is beyond the bound the profile has."""
    switches = {
        "expose: tcp": tcp,
        "expose: udp": has.udp,
        "expose: nodePort": has.node_port,
        "expose: loadBalancer": has.load_balancer,
        "egress by host name": has.names,
        "egress to ports of mail": has.smtp,
        "sleep by itself": has.own_sleep,
        "user ids of its own for each pod": has.user_namespaces,
        "volumes without a class": has.default_class,
    }
    words = ["expose: http", *(word for word, there in switches.items() if there)]
    words += [f"storage class {one.name}" for one in has.storage_classes]
    words += [f"ingress class {one.name}" for one in has.ingress_classes]
    words += [f"CSI driver {name}" for name in has.csi_drivers]
    return [word[:MAX_WORD] for word in words][:MAX_CAPABILITY_WORDS]
