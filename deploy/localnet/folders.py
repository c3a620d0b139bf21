# SPDX-License-Identifier: Apache-2.0
"""Where localnets keep their files, and who holds their locks."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from trustedpods.localnet.settings import Settings
from trustedpods.protocol.errors import Locked, NoContext
from trustedpods.protocol.lockfile import open_lock, take, taken
from trustedpods.protocol.whole_file import replace_whole

_HOME_VARIABLE = "TRUSTEDPODS_LOCALNET_HOME"
_DEFAULT_HOME = Path("/var/lib/trustedpods/localnet")
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - folders in it are made 0700


def home() -> Path:
    """Folder of all localnets: $TRUSTEDPODS_LOCALNET_HOME or /var/lib/trustedpods/localnet."""
    return Path(os.environ.get(_HOME_VARIABLE, _DEFAULT_HOME)).absolute()


def state_of(name: str) -> Path:
    """State folder of one localnet."""
    return home() / name


def settings_file(state: Path) -> Path:
    """What was chosen for the localnet."""
    return state / "localnet.json"


def status_file(state: Path) -> Path:
    """What the supervisor last said."""
    return state / "status.json"


def supervisor_lock(state: Path) -> Path:
    """Held by the supervisor as long as it lives; contains its pid."""
    return state / "supervisor.lock"


def log_file(state: Path, unit: str) -> Path:
    """Output of one part: k1/kubelet -> log/k1-kubelet.log."""
    return state / "log" / (unit.replace("/", "-") + ".log")


def notify_socket(state: Path, unit: str) -> Path:
    """Where a part sends sockets that are to be kept for it."""
    return state / (unit.replace("/", "-") + ".notify")


def shared_memory(name: str) -> Path:
    """The localnet's folder in the machine's own tmpfs; with `--existing` there is one."""
    return _SHARED_MEMORY / f"trustedpods-{os.getuid()}-{name}"


def load_settings(name: str) -> Settings:
    """Settings of an existing localnet; NoContext when there is none of that name."""
    try:
        return read_settings(state_of(name))
    except FileNotFoundError:
        raise NoContext(
            f"there is no localnet named {name!r}", hint=f"trustedpods-localnet up --name {name}"
        ) from None


def read_settings(state: Path) -> Settings:
    """Settings kept in a state folder; FileNotFoundError when it has none."""
    return Settings.model_validate_json(settings_file(state).read_bytes())


def save_settings(settings: Settings) -> None:
    """Write the settings; the folder must exist."""
    text = json.dumps(settings.model_dump(mode="json"), indent=2)
    replace_file(settings_file(settings.state), text.encode())


def replace_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file whole or not at all, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_whole(path, data, mode)


def replace_link(path: Path, target: Path) -> None:
    """Make *path* a link to *target*, whatever it was before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(path)


@contextlib.contextmanager
def exclusive(path: Path, what: str) -> Iterator[int]:
    """Hold the lock file *path* and remove it afterwards; Locked when somebody else holds it.

    Yields the file's descriptor, for what others may read there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _lock(path, what)
    while not _is_file_at(path, descriptor):  # its last holder removed it meanwhile
        os.close(descriptor)
        descriptor = _lock(path, what)
    try:
        yield descriptor
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _lock(path: Path, what: str) -> int:
    descriptor = open_lock(path)
    if not taken(descriptor):
        os.close(descriptor)
        raise Locked(f"{what} is at work", where=str(path))
    return descriptor


def _is_file_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def waiting_for(path: Path) -> Iterator[None]:
    """Hold the lock file *path*, after waiting for whoever holds it now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = open_lock(path)
    try:
        take(descriptor)
        yield
    finally:
        os.close(descriptor)


def holder(path: Path) -> int | None:
    """Pid of the process that holds the lock file *path*; none when nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if taken(descriptor, shared=True):
            return None
        text = os.read(descriptor, 32).decode().strip()
        return int(text) if text.isdigit() else None
    finally:
        os.close(descriptor)
