# SPDX-License-Identifier: Apache-2.0
"""Archives that a client takes, each deployed as a pod of one container, and what it then shows.

Those that are refused, or differ only in how they are read, stand in tests/fakes/images/image_cases.py.
"""

import gzip
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.images.image_cases import CASES, Case, image_case
from tests.fakes.images.image_parts import APP, SCRIPT, entry, tar

ARM_ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\0\xb7\0" + bytes(100)
"""The head of a program for another processor: e_machine 183, as readelf calls AArch64."""

MANY = 10_000


@dataclass(frozen=True)
class Shown:
    """An archive that is taken, and by path a part of what its pod answers."""

    case: Case
    answers: Mapping[str, str] = field(default_factory=dict)


def shown(*layers: Callable[[bytes], bytes] | bytes, **traits: Any) -> Shown:
    """An image of these layers; *traits* are those of `image_case`, and `answers`."""
    answers = traits.pop("answers", {})
    return Shown(image_case(layers=layers or (APP,), **traits), answers)


def folder(name: str, **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A folder's entry."""
    return entry(name, type=tarfile.DIRTYPE, **fields)


def environment(*variables: str) -> dict[str, Any]:
    """`run` of an image with these variables, beside the one that says which image it is."""
    return {"Env": ["WHICH=app", *variables]}


_LOWER = tar(
    folder("data"), entry("data/kept", b"kept"), entry("data/gone", b"gone"),
    entry("data/hard", type=tarfile.LNKTYPE, linkname="data/kept"),
    folder("opaque"), entry("opaque/old", b"old"),
)  # fmt: skip
_UPPER = tar(
    entry("data/.wh.gone"), entry("opaque/.wh..wh..opq"), entry("opaque/new", b"new"),
    entry("data/soft", type=tarfile.SYMTYPE, linkname="/data/kept"),
    entry("data/" + "n" * 200 + "/" + "m" * 200, b"a long name"),
    entry("data/fifo", type=tarfile.FIFOTYPE),
)  # fmt: skip
_SEEDED = tar(folder("var/lib/data", uid=10001, gid=10001), entry("var/lib/data/seed", b"seed", uid=10001))
_VOLUME = {
    "Volumes": {"/var/lib/data": {}}, "WorkingDir": "/not/there", "StopSignal": "SIGQUIT",
    "Healthcheck": {"Test": ["CMD", "/nothing"]}, "OnBuild": ["RUN x"],
}  # fmt: skip
_HISTORY = {
    "history": [{"created_by": "FROM x", "empty_layer": True}, {"created_by": "COPY"}],
    "created": "2023-01-01T00:00:00Z", "variant": "v2", "os.features": [],
}  # fmt: skip

OWN: dict[str, Shown] = {
    "files taken away": shown(
        APP, _LOWER, _UPPER,
        answers={
            "/data/kept": "kept", "/data/hard": "kept", "/data/soft": "kept", "/data/gone": "404",
            "/opaque/old": "404", "/opaque/new": "new", "/data/" + "n" * 200 + "/" + "m" * 200: "a long name",
        },
    ),
    "many files": shown(
        APP, tar(*(entry(f"many/{number % 100}/{number}", b"x") for number in range(MANY))),
        answers={f"/many/99/{MANY - 1}": "x"},
    ),
    "user by name": shown(
        APP, tar(entry("etc/passwd", b"app:x:10001:20::/:\n"), entry("etc/group", b"staff:x:50:\n")),
        run={"User": "app:staff"},
        answers={"/tmp/self": "uid=10001(app) gid=50(staff)"},
    ),
    "set-uid": shown(APP, lambda program: tar(entry("bin/busybox", program, mode=0o4755))),
    "a device": shown(
        APP, tar(entry("dev2/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666))
    ),
    "an entry twice": shown(tar(entry("app", b"#!/bin/false\n")), APP),
    "an entry twice in one layer": shown(APP, tar(entry("app", b"#!/bin/false\n"), entry("app", SCRIPT))),
    "shell form": shown(
        run=environment("MORE=one two")
        | {"Entrypoint": ["/bin/sh", "-c", 'exec /app "$0" $MORE'], "Cmd": ["zero"]},
        answers={"/tmp/self": "arguments: zero one two\n"},
    ),
    "a volume": shown(
        APP, _SEEDED, run=_VOLUME, answers={"/var/lib/data/seed": "seed", "/tmp/self": "\n/not/there\n"}
    ),
    "odd variables": shown(
        run=environment("PATH=/usr/bin", "EMPTY=", "A=1", "A=2", "with.dot=1", "NOEQUALS"),
        answers={"/tmp/self": "\nA=2\n"},
    ),
    "history": shown(config=_HISTORY),
    "a stop signal's number": shown(run={"StopSignal": "37"}),
}  # fmt: skip

_DOCKER_SAVE = CASES["docker save"]
REFUSED: dict[str, Case] = {
    "no interpreter": image_case(
        "/app is a script for /usr/bin/python3, which is not in the image",
        layers=(tar(entry("app", b"#!/usr/bin/python3\n")),),
    ),
    "another processor's program": image_case(
        "/app is for another processor", layers=(tar(entry("app", ARM_ELF)),)
    ),
    "a program that may not be executed": image_case(
        "/app may not be executed", layers=(APP, tar(entry("app", SCRIPT, mode=0o644)))
    ),
    "a program taken away": image_case("/app is not in the image", layers=(APP, tar(entry(".wh.app")))),
    "a folder for a program": image_case("/tmp is a folder", run={"Entrypoint": ["/tmp"]}),
    "docker save, gzipped": Case(
        lambda parts: gzip.compress(_DOCKER_SAVE.make(parts)),
        refused="not an uncompressed tar archive",
        kind="docker-archive",
    ),
}

_ANSWERS: dict[str, dict[str, str]] = {
    "user '0010001'": {"/tmp/self": "uid=10001 "},
    "user '+10001'": {"/tmp/self": "uid=10001 "},
    "user '10001:0'": {"/tmp/self": "uid=10001 gid=0"},
    "user '65534:65534'": {"/tmp/self": "uid=65534 "},  # the kubelet hands on the user, not its group
    "user '2147483647'": {"/tmp/self": "uid=2147483647 "},
    "whiteouts": {"/data/gone": "404"},
    "GNU form": {"/" + "n" * 150: "program"},
}

SHOWN: dict[str, Shown] = {
    name: Shown(case, _ANSWERS.get(name, {})) for name, case in CASES.items() if case.refused is None
} | OWN
"""Every archive that is taken."""
