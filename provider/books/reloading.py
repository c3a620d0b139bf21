# SPDX-License-Identifier: Apache-2.0
"""Has running replicas take files that changed below them: sees each arrive, then runs the pod's hook once.

A node brings a Secret's new content into running containers when it gets to it, and tells nobody: so the
files are read in the container itself, by its own `cat`. Replicas have their turn one after another.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import trio

from trustedpods.manifests.check.nodes import told_container
from trustedpods.manifests.rendering import MAX_RENDERED
from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.protocol.limits import KIB
from trustedpods.provider.cluster.api.commands import Exit
from trustedpods.provider.cluster.client import Cluster
from trustedpods.provider.cluster.objects.pod_objects import PodLife
from trustedpods.provider.cluster.views import PodView

RELOAD = "reload"
"""The rule by which it is refused that a node did not take its new files."""

ARRIVES_WITHIN_S = 45.0
"""A node that was told to look brings files in seconds; by itself it looks once a minute."""

LOOK_S = 0.5

HOOK_WITHIN_S = 30.0
"""A program that reads its configuration again is not away for longer; more nodes wait for their turn."""

ALL_WITHIN_S = 300.0
"""For all replicas: so long other nodes of the publisher, whose hooks are due, wait for theirs at most."""

MAX_PRINTED = 2 * KIB
"""Bytes that are told of what a hook printed, its last."""


@dataclass(frozen=True, slots=True)
class ReloadHook:
    """The command that is run in `container`, once its `files`, by their paths, are so."""

    container: str
    command: tuple[str, ...]
    files: tuple[tuple[str, bytes], ...]


def hook_of(life: PodLife) -> ReloadHook | None:
    """The hook of a life whose files are rendered; None where its manifest has none."""
    told, reload = told_container(life.manifest), life.manifest.spec.reload
    if told is None or reload is None:
        return None
    files = [
        (f"{mount.mount_path.rstrip('/')}/{name}", life.secrets[volume.name][name])
        for volume in life.manifest.spec.volumes
        if volume.secret is not None and volume.secret.on_change == "reload"
        for mount in told.volume_mounts
        if mount.name == volume.name
        for name in volume.secret.changing
    ]
    return ReloadHook(told.name, tuple(reload.command), tuple(files))


async def reload_all(cluster: Cluster, namespace: str, hook: ReloadHook) -> None:
    """Run *hook* in every replica that runs, one after another.

    Refused (rule `reload`) with the first that did not take its files: they did not arrive, or the hook
    failed, with what it printed.
    """
    replicas = [one for one in await cluster.pods(namespace) if _runs(one)]
    with trio.move_on_after(ALL_WITHIN_S) as whole:
        for replica in replicas:
            await _reload(cluster, replica, hook)
    if whole.cancelled_caught:
        raise _failed(replica, f"all replicas have {ALL_WITHIN_S:.0f} s, and its turn did not come or end")


def _runs(replica: PodView) -> bool:
    return replica.started_at is not None and replica.deleted_at is None and not replica.over


async def _reload(cluster: Cluster, replica: PodView, hook: ReloadHook) -> None:
    path = hook.files[0][0]
    with trio.move_on_after(ARRIVES_WITHIN_S) as waited:
        for path, content in hook.files:
            while (found := await _run(cluster, replica, hook.container, ("cat", path), MAX_RENDERED)) != (
                0,
                content,
            ):
                if found[0] not in (0, 1):  # 1: the file is not there yet
                    raise _failed(replica, f"`cat {path}` there ended with code {found[0]}", found[1])
                await trio.sleep(LOOK_S)
    if waited.cancelled_caught:
        raise _failed(replica, f"the new {path} was not there within {ARRIVES_WITHIN_S:.0f} s")
    with trio.move_on_after(HOOK_WITHIN_S) as ran:
        code, printed = await _run(cluster, replica, hook.container, hook.command, MAX_PRINTED)
    if ran.cancelled_caught:
        raise _failed(replica, f"its reload hook did not end within {HOOK_WITHIN_S:.0f} s")
    if code != 0:
        raise _failed(replica, f"its reload hook ended with code {code}", printed)


async def _run(
    cluster: Cluster, replica: PodView, container: str, command: Sequence[str], most: int
) -> tuple[int, bytes]:
    """A command's exit code, and the last *most* bytes that it wrote. Refused where it does not start."""
    written = bytearray()
    try:
        async with cluster.exec(replica.namespace, replica.name, container, command, stdin=False) as running:
            while not isinstance(came := await running.receive(), Exit):
                written += came.data
                del written[:-most]
    except Refused as error:
        raise _failed(
            replica, f"`{command[0]}` does not run in container {container}: {error.what}"
        ) from None
    except NetworkFailure as error:
        raise _failed(replica, f"nothing can be run in container {container}: {error.what}") from None
    return came.code, bytes(written)


def _failed(replica: PodView, what: str, printed: bytes = b"") -> Refused:
    said = "".join(
        one if one.isprintable() else " " for one in printed[-MAX_PRINTED:].decode(errors="replace")
    )
    return Refused(
        f"replica {replica.name} has not taken its new files: {what}"
        + (f" and printed: {said.strip()}" if said.strip() else ""),
        rule=RELOAD,
        hint="the files are in place; `trustedpods network apply` again runs the hook again",
    )
