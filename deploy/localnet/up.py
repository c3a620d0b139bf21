# SPDX-License-Identifier: Apache-2.0
"""`up`: make the localnet if it is not there, start its supervisor if it does not run, wait."""

import subprocess
import sys
import time
from pathlib import Path

from trustedpods.localnet import allocate, folders, network, preflight
from trustedpods.localnet.cluster import binaries
from trustedpods.localnet.commands import Say
from trustedpods.localnet.emulated import boot_files
from trustedpods.localnet.processes import kernel_limits, processes, supervisor
from trustedpods.localnet.processes.cgroups import Tree
from trustedpods.localnet.processes.units import UnitStatus
from trustedpods.localnet.settings import Knobs, Settings, check_name
from trustedpods.protocol.errors import BadInput, NetworkFailure, TrustedPodsError

DEFAULT_LIMIT_S = 300
GUEST_LIMIT_S = 1800
"""An emulated machine needs five minutes of processor time to its daemon; a busy host has less than one."""

_LOOK_EVERY_S = 0.05
_START_LIMIT_S = 120.0
_GOOD = ("ready", "done")
_TOO_MANY_ENDS = 6
"""With the supervisor's pauses after twenty seconds; a part that only waits for another ends less often."""


def up(
    name: str,
    *,
    clusters: int = 1,
    nodes: int = 1,
    kubeconfig: Path | None = None,
    guest: Path | None = None,
    knobs: Knobs | None = None,
    limit_s: float | None = None,
    say: Say = lambda _: None,
) -> Settings:
    """Bring the localnet up and return its settings when everything is ready, within *limit_s*.

    With *guest*, the folder of a machine image, its provider runs in an emulated machine of that image.
    Safe to call again: what runs is left alone, what is missing is started. NetworkFailure when something is
    not ready in time, or ends again and again; everything is left as it is then, for `status` and `logs`.
    Refused (rule `kernel`) when the kernel would not let so much run.
    """
    check_name(name)
    if kubeconfig is not None and nodes > 1:
        raise BadInput("--nodes: a cluster of your own has the nodes that it has", hint="leave --nodes away")
    if guest is not None:
        _check_guest(guest, clusters, nodes, kubeconfig, knobs)
    embedded = kubeconfig is None and guest is None
    preflight.check(embedded=embedded, emulated=guest is not None)
    with folders.exclusive(folders.home() / f".{name}.lock", f"another up or down of {name!r}"):
        if embedded and not _has_parts(folders.state_of(name)):
            kernel_limits.check(clusters, clusters * (nodes - 1))
        settings = _settings(name, clusters, nodes, kubeconfig, guest, knobs)
        if embedded and settings.knobs.user_namespaces:
            binaries.build_containers()
        if folders.holder(folders.supervisor_lock(settings.state)) is not None:
            if not _missing(settings.state):
                say(f"{name} is up already")
                return settings
        else:
            _start_supervisor(settings)
        _wait(settings, limit_s or (GUEST_LIMIT_S if guest else DEFAULT_LIMIT_S), say)
    return settings


def _has_parts(state: Path) -> bool:
    """Whether parts of it run, which have taken what they need; also without a supervisor."""
    alive = (processes.find(status.pid, status.started) for status in supervisor.read_status(state))
    return any(process is not None for process in alive)


def _check_guest(
    image: Path, clusters: int, nodes: int, kubeconfig: Path | None, knobs: Knobs | None
) -> None:
    """BadInput for no image, or what its machine is not: it has one node, its own cluster, and its daemon."""
    chosen = knobs or Knobs()
    if clusters > 1 or nodes > 1 or kubeconfig is not None:
        raise BadInput(
            "--guest: one machine with one node", hint="leave --clusters, --nodes, --existing away"
        )
    if not chosen.provider or chosen.secrets_store or chosen.ingress or chosen.user_namespaces:
        raise BadInput(
            "--guest: what runs inside is the image's",
            hint="leave --no-provider, --secrets-store, --ingress, --user-namespaces away",
        )
    boot_files.measured(image)


def _settings(
    name: str, clusters: int, nodes: int, kubeconfig: Path | None, guest: Path | None, knobs: Knobs | None
) -> Settings:
    """Those of the localnet that is there, if they agree with what is asked, or new ones."""
    state = folders.state_of(name)
    if not folders.settings_file(state).exists():
        with folders.waiting_for(folders.home() / ".allocation.lock"):
            settings = allocate.allocate(name, clusters, kubeconfig, knobs or Knobs(), nodes, guest)
            state.mkdir(mode=0o700, parents=True, exist_ok=True)
            folders.save_settings(settings)
        return settings
    settings = folders.load_settings(name)
    asked = (clusters, nodes, kubeconfig, guest, knobs or settings.knobs)
    made = (len(settings.clusters), settings.nodes, settings.kubeconfig, settings.guest, settings.knobs)
    if asked != made:
        raise BadInput(
            f"{name!r} was made with other settings", hint=f"trustedpods-localnet down --name {name} first"
        )
    return settings


def _start_supervisor(settings: Settings) -> None:
    """Start it in a session of its own, in the localnet's control groups from its first moment."""
    if settings.octet:
        network.make_host_side(settings)
    Tree(settings.name).make([node.name for cluster in settings.all_clusters() for node in cluster.nodes])
    log = folders.log_file(settings.state, "supervisor")
    log.parent.mkdir(exist_ok=True)
    status = folders.status_file(settings.state)
    before = _changed_at(status)
    argv = [sys.executable, "-u", "-m", "trustedpods.localnet.processes.supervisor", str(settings.state)]
    with log.open("ab") as output:
        # setsid --fork: the supervisor is nobody's child, so whoever called need not wait for it.
        subprocess.run(  # noqa: S603
            ["setsid", "--fork", *argv],  # noqa: S607
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=settings.state,
            check=True,
        )
    deadline = time.monotonic() + _START_LIMIT_S
    while _changed_at(status) == before:
        if time.monotonic() > deadline:
            words = processes.last_line(log)
            raise TrustedPodsError(f"the supervisor did not start: {words}", where=str(log))
        time.sleep(_LOOK_EVERY_S)


def _changed_at(file: Path) -> int:
    return file.stat().st_mtime_ns if file.exists() else 0


def _wait(settings: Settings, limit_s: float, say: Say) -> None:
    """Report each unit as it gets ready, until all are."""
    began = time.monotonic()
    reported: set[str] = set()
    ended = {status.name: status.restarts for status in supervisor.read_status(settings.state)}
    complained: dict[str, str] = {}
    while True:
        waited = time.monotonic() - began
        for status in supervisor.read_status(settings.state):
            if status.state in _GOOD and status.name not in reported:
                reported.add(status.name)
                say(f"{waited:6.1f} s  {status.name}")
            elif status.state in ("failing", "restarting") and complained.get(status.name) != status.note:
                complained[status.name] = status.note
                say(f"{waited:6.1f} s  {status.name} {status.state}: {status.note}")
            _check_ends(settings, status, status.restarts - ended.setdefault(status.name, 0))
        missing = _missing(settings.state)
        if not missing:
            return
        if waited > limit_s:
            raise NetworkFailure(
                f"not ready after {limit_s:g} s: {', '.join(unit.name for unit in missing)}",
                hint=f"trustedpods-localnet status --name {settings.name}",
            )
        if folders.holder(folders.supervisor_lock(settings.state)) is None:
            raise TrustedPodsError("the supervisor has ended", where=str(settings.state / "log"))
        time.sleep(_LOOK_EVERY_S)


def _check_ends(settings: Settings, status: UnitStatus, ends: int) -> None:
    """A part that cannot live will not live after the limit either: say now what it said."""
    if status.state in _GOOD or ends < _TOO_MANY_ENDS:
        return
    raise NetworkFailure(
        f"{status.name} has ended {ends} times, the last time: {status.note or 'without a word'}",
        where=str(folders.log_file(settings.state, status.name)),
        hint=f"trustedpods-localnet status --name {settings.name}",
    )


def _missing(state: Path) -> list[UnitStatus]:
    return [unit for unit in supervisor.read_status(state) if unit.state not in _GOOD]
