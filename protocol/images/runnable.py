# SPDX-License-Identifier: Apache-2.0
"""Would a node start this image? What the kubelet and its container runtime decide from an image alone."""

import re
import signal
from collections.abc import Iterable, Sequence

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.descriptors import PLATFORM, ImageConfig
from trustedpods.protocol.images.links import Links
from trustedpods.protocol.images.programs import needed

MAX_USER = 2**31 - 1
"""The largest user id that a container runtime takes for a number (runc's `maxID`)."""

_NUMBER = re.compile(r"\+?[0-9]+", re.ASCII)
_SIGNALS = {one.name for one in signal.Signals if not one.name.startswith("SIGRT")}
_USER_HINT = (
    "set a numeric user in the image (`USER 10001` in its Dockerfile, or `buildah config --user 10001`), "
    "or `securityContext: {runAsUser: 10001}` in the manifest"
)


def check_runnable(
    config: ImageConfig, command: Sequence[str] = (), args: Sequence[str] = (), user: int | None = None
) -> None:
    """BadInput unless a node starts the image, with the *command*, *args* and *user* of its container."""
    if (config.os, config.architecture) != PLATFORM:
        raise BadInput(
            f"the image is for {config.os or '?'}/{config.architecture or '?'}, providers run linux/amd64",
            hint="build it with `--platform linux/amd64`",
        )
    if user is None:
        check_user(config.user)
    if not "".join(program_line(config, command, args)[:1]):
        raise BadInput(
            "the image names no program to run",
            hint="set ENTRYPOINT or CMD in the image, or `command` in the manifest",
        )
    _check_stop_signal(config.stop_signal)


def program_line(config: ImageConfig, command: Sequence[str], args: Sequence[str]) -> list[str]:
    """What is run: `command` takes the place of ENTRYPOINT and CMD, `args` that of CMD."""
    if command:
        return [*command, *args]
    return [*config.entrypoint, *(args or config.cmd)]


def check_user(text: str) -> None:
    """BadInput unless *text* (`USER` or `USER:GROUP`) is numeric, and no root.

    Pods run under Kubernetes' restricted security profile, which starts no process as root and
    cannot see who a user *name* is.
    """
    user, colon, group = text.partition(":")
    number = int(user) if _NUMBER.fullmatch(user) and len(user) < 32 else None
    if user in ("", "root") or number == 0:
        shown = f"as {text[:64]!r}" if text else "as root: it names no user"
        raise BadInput(
            f"the image runs {shown}, and providers start nothing as root",
            hint=_USER_HINT,
        )
    if number is None and not user.lstrip("+").isdecimal():
        raise BadInput(
            f"the image's user {text[:64]!r} is a name, and providers cannot see that it is not root",
            hint=_USER_HINT,
        )
    if number is None or number > MAX_USER:
        raise BadInput(
            f"the image's user {text[:64]!r} is no number up to {MAX_USER}, and no node starts it",
            hint=_USER_HINT,
        )
    if colon and not (_NUMBER.fullmatch(group) and len(group) < 32 and int(group) <= MAX_USER):
        raise BadInput(
            f"the group in the image's user {text[:64]!r} is no number up to {MAX_USER}",
            hint="set user and group as numbers (`USER 10001:10001`), or the user alone",
        )


def user_number(text: str, run_as_user: int | None = None) -> int:
    """A container's user id: what its manifest says, else the image's, which `check_user` let pass."""
    return int(text.partition(":")[0]) if run_as_user is None else run_as_user


def _check_stop_signal(text: str) -> None:
    """A signal that the runtime does not know could never be sent, and the pod never stopped."""
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    known = int(text) in range(1, 65) if re.fullmatch(r"[0-9]{1,3}", text) else name in _SIGNALS
    if text and not known:
        raise BadInput(
            f"the image's stop signal {text[:32]!r} is none that nodes send",
            hint="set another with STOPSIGNAL in its Dockerfile, such as SIGTERM",
        )


def capable_program(
    config: ImageConfig, line: Sequence[str], capable: Iterable[str], links: Links
) -> str | None:
    """The first program that the *line* needs among *capable* paths, which start only with capabilities."""
    paths = {links.resolve(path): path for path in capable}
    for program in needed(line):
        places = [program] if "/" in program else _in_path(config, program)
        found = next((paths[place] for place in map(links.resolve, places) if place in paths), None)
        if found:
            return found
    return None


def _in_path(config: ImageConfig, program: str) -> list[str]:
    search = next((one[5:] for one in reversed(config.env) if one.startswith("PATH=")), _DEFAULT_PATH)
    return [f"{folder}/{program}" for folder in search.split(":")]


_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
