# SPDX-License-Identifier: Apache-2.0
"""Which Debian packages the guest's root is made of: name, version and SHA-256 of each.

`resolved` asks apt once, against an empty system (`make guest-pins`); a build takes what is written and
nothing else.
"""

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import unquote

from wheels import NotBuildable, run

EMPTY_SYSTEM = ("-o", "Dir::State::status=/dev/null", "-o", "APT::Architectures=amd64")
"""What this machine has installed has no part in what the guest gets."""

RENEW = "`make guest-pins` writes new pins, of what the registry has today"
_PIN = re.compile(r"([0-9a-f]{64})  ([a-z0-9][a-z0-9.+-]*) ([0-9A-Za-z.+~:-]+)")
_CHOSEN = re.compile(r"'[^']+' ([^ ]+)_([^_ ]+)_[a-z0-9]+\.deb \d+.*")
_STANZA = re.compile(r"^(Package|Version|SHA256): (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, order=True)
class Pin:
    """One package, exactly."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Pins:
    """All packages, and the time that every file of the image has: seconds since 1970."""

    epoch: int
    packages: tuple[Pin, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What packages.txt asks for, and what it leaves out (names, or their beginnings with a star)."""

    names: tuple[str, ...]
    left_out: tuple[str, ...]


def wanted(text: str) -> Wanted:
    """The names of packages.txt."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return Wanted(
        tuple(line for line in lines if not line.startswith("-")),
        tuple(line[1:] for line in lines if line.startswith("-")),
    )


def resolved(asked: Wanted) -> Pins:
    """What apt would install into an empty system today, without what is left out.

    NotBuildable with apt's words, where it has no answer.
    """
    argv = ["apt-get", *EMPTY_SYSTEM, "--yes", "--no-install-recommends", "--print-uris", "install"]
    versions = chosen(run([*argv, *asked.names], {"LC_ALL": "C"}))
    kept = {
        name: version
        for name, version in versions.items()
        if not any(fnmatchcase(name, out) for out in asked.left_out)
    }
    shown = run(
        ["apt-cache", "show", *(f"{name}={version}" for name, version in kept.items())], {"LC_ALL": "C"}
    )
    found = {pin for pin in described(shown) if kept.get(pin.name) == pin.version}
    if {pin.name for pin in found} != set(kept):
        raise NotBuildable("the package lists lack hashes: run `apt-get update`")
    return Pins(int(time.time()) // 86400 * 86400, tuple(sorted(found)))


def chosen(text: str) -> dict[str, str]:
    """Versions by name of what `apt-get --print-uris` lists; NotBuildable where it lists nothing."""
    found = [_CHOSEN.fullmatch(line.strip()) for line in text.splitlines() if line.startswith("'")]
    if not found or None in found:
        raise NotBuildable("apt lists no packages: run `apt-get update` on a Debian 12")
    return {one[1]: unquote(one[2]) for one in found if one}


def described(text: str) -> list[Pin]:
    """The packages of what `apt-cache show` prints, but those that it has no SHA-256 of."""
    stanzas = (dict(_STANZA.findall(stanza)) for stanza in text.split("\n\n") if stanza.strip())
    return [Pin(one["Package"], one["Version"], one["SHA256"]) for one in stanzas if "SHA256" in one]


def written(pins: Pins) -> str:
    """The text of pins.txt."""
    head = (
        "# SPDX-License-Identifier: Apache-2.0\n# Made by `make guest-pins`: packages of the guest's root.\n"
    )
    rows = "".join(f"{pin.sha256}  {pin.name} {pin.version}\n" for pin in pins.packages)
    return f"{head}epoch {pins.epoch}\n{rows}"


def read(text: str) -> Pins:
    """The pins of a text that `written` made; NotBuildable, with the line, for anything else."""
    epoch, packages = 0, []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            continue
        if not epoch and (begin := re.fullmatch(r"epoch (\d{9,10})", line)):
            epoch = int(begin[1])
        elif pin := _PIN.fullmatch(line):
            packages.append(Pin(pin[2], pin[3], pin[1]))
        else:
            raise NotBuildable(f"line {number} of the pins is none: {line[:80]!r}; {RENEW}")
    if not epoch or packages != sorted(set(packages)):
        raise NotBuildable(f"the pins have no epoch, or are not in order; {RENEW}")
    return Pins(epoch, tuple(packages))


def refuse_gone(pins: Iterable[Pin], versions: Mapping[str, set[str]]) -> None:
    """NotBuildable naming each package whose version is not among those that the registry has (by name)."""
    gone = [
        f"{pin.name} {pin.version} (there: {', '.join(sorted(versions.get(pin.name, ()))) or 'none'})"
        for pin in pins
        if pin.version not in versions.get(pin.name, ())
    ]
    if gone:
        raise NotBuildable(f"the registry no longer has {'; '.join(gone)}. {RENEW}")
