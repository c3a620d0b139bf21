# SPDX-License-Identifier: Apache-2.0
"""Names that are used twice, or by nobody."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from trustedpods.manifests.problem import Location, Problem


def repeated(location: Location, names: Sequence[str]) -> Iterator[Problem]:
    """Each of *names*, of parts listed at *location*, that another has."""
    seen: Counter[str] = Counter()
    for index, name in enumerate(names):
        seen[name] += 1
        if seen[name] == 2:
            yield Problem((*location, index, "name"), f"the name {name!r} is used twice")


def known(names: Iterable[object]) -> str:
    """What could have been named, for the end of a sentence; empty where nothing could."""
    listed = ", ".join(sorted(str(name) for name in names))
    return f" (there is: {listed})" if listed else ""
