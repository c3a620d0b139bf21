# SPDX-License-Identifier: Apache-2.0
"""Compose's volumes, binds, tmpfs, secrets and configs as volumes of a pod.

Source of the format: the Compose specification, "services" (volumes, tmpfs, secrets, configs) and "volumes".
"""

from collections.abc import Mapping
from dataclasses import dataclass

from trustedpods.manifests.convert.findings import Findings
from trustedpods.manifests.convert.parts import MADE_UP_VOLUME, SCRATCH, PodParts
from trustedpods.manifests.convert.values import label, mebibytes, text_of
from trustedpods.manifests.problem import Location

_SECRETS_PATH = "/run/secrets/"
_MODES = {"ro": True, "rw": False, "z": None, "Z": None}
"""Modes of the short form: whether only reading; None changes nothing here."""


@dataclass(slots=True)
class Mount:
    """One entry of `volumes`, in whichever form it was written."""

    at: Location
    kind: str
    source: str
    target: str
    read_only: bool = False
    size: str | None = None


class ComposeVolumes:
    """Volumes of one Compose file; *top* is its own `volumes`, `secrets` and `configs`."""

    def __init__(self, parts: PodParts, top: Mapping[str, Mapping[str, object]]) -> None:
        self._parts = parts
        self._found: Findings = parts.found
        self._top = top

    def mounts(self, service: Mapping[str, object], at: Location) -> list[dict[str, object]]:
        """`volumeMounts` of a service."""
        made: list[dict[str, object]] = []
        found = self._found
        for index, entry in enumerate(found.items(service.get("volumes"), (*at, "volumes"))):
            mount = self._read(entry, (*at, "volumes", index))
            if mount is not None:
                made += self._mounted(mount)
        tmpfs = service.get("tmpfs")
        for index, entry in enumerate(
            [tmpfs] if isinstance(tmpfs, str) else found.items(tmpfs, (*at, "tmpfs"))
        ):
            where = (*at, "tmpfs", index) if not isinstance(tmpfs, str) else (*at, "tmpfs")
            path, _, words = text_of(entry, where, found).partition(":")
            size = next((word[5:] for word in words.split(",") if word.startswith("size=")), None)
            made += self._mounted(
                Mount(where, "tmpfs", "", path, size=size and mebibytes(size, where, found))
            )
        for kind, base in (("secrets", _SECRETS_PATH), ("configs", "/")):
            for index, entry in enumerate(found.items(service.get(kind), (*at, kind))):
                made += self._given(kind, base, entry, (*at, kind, index))
        return made

    def _read(self, entry: object, at: Location) -> Mount | None:
        if isinstance(entry, Mapping):
            return self._long(entry, at)
        pieces = text_of(entry, at, self._found).split(":")
        if len(pieces) == 1:
            return Mount(at, "anonymous", "", pieces[0])
        source, target, *modes = pieces
        words = modes[0].split(",") if modes else []
        if len(modes) > 1 or any(word not in _MODES for word in words):
            self._found.refuse(at, "write SOURCE:/path, or SOURCE:/path:ro")
            return None
        kind = "bind" if source.startswith((".", "/", "~")) else "volume"
        return Mount(at, kind, source, target, read_only="ro" in words)

    def _long(self, entry: Mapping[object, object], at: Location) -> Mount | None:
        found = self._found
        kind = text_of(entry.get("type", "volume"), (*at, "type"), found)
        if kind not in ("volume", "bind", "tmpfs"):
            found.refuse((*at, "type"), "write volume, bind or tmpfs: a pod has no others")
            return None
        known = {"type", "source", "target", "read_only", "consistency", kind}
        for key in entry:
            if key not in known:
                found.refuse((*at, str(key)), "leave it out: a mount here has its path, and may be read only")
        more = found.mapping(entry.get(kind), (*at, kind))
        for key in more.keys() - {"size", "create_host_path", "nocopy"}:
            found.refuse((*at, kind, key), "leave it out: a mount here has its path, and may be read only")
        size = mebibytes(more["size"], (*at, kind, "size"), found) if "size" in more else None
        source = text_of(entry.get("source", ""), (*at, "source"), found)
        if kind == "volume" and not source:
            kind = "anonymous"
        target = text_of(entry.get("target", ""), (*at, "target"), found)
        return Mount(at, kind, source, target, entry.get("read_only") is True, size)

    def _mounted(self, mount: Mount) -> list[dict[str, object]]:
        if not mount.target.startswith("/"):
            self._found.refuse(mount.at, "the path in the container begins with /")
            return []
        if mount.kind in ("tmpfs", "anonymous"):
            wanted = label(f"scratch{mount.target}")
            name = self._parts.new_volume(wanted, "emptyDir", {"sizeLimit": mount.size or SCRATCH})
            if mount.kind == "anonymous":
                self._found.note(f"{mount.target} has no name, so it is scratch space of {SCRATCH}")
            return [_entry(name, mount)]
        if mount.kind == "volume":
            return self._named(mount)
        return self._bound(mount)

    def _named(self, mount: Mount) -> list[dict[str, object]]:
        found = self._found
        known = self._top["volumes"]
        if mount.source not in known:
            found.refuse(mount.at, f"no volume {mount.source!r} in `volumes` of this file")
            return []
        what = found.mapping(known[mount.source], ("volumes", mount.source))
        for key, value in what.items():
            if key not in ("name", "labels") and (key, value) not in (
                ("driver", "local"),
                ("external", False),
            ):
                text = "leave it out: a volume here is empty at first, and on the provider's disk"
                found.refuse(("volumes", mount.source, key), text)
        found.note(f"volume {mount.source}: {MADE_UP_VOLUME} here, which is billed; write what it needs")
        size: dict[str, object] = {"size": MADE_UP_VOLUME}
        name = self._parts.volume(label(mount.source), "persistent", size, mount.source)
        return [_entry(name, mount)]

    def _bound(self, mount: Mount) -> list[dict[str, object]]:
        """A file or folder of this machine: sent along, where the container only reads it."""
        found, source = self._found, mount.source
        if source.startswith(("~", "/var/run/")) or source.endswith(".sock"):
            found.refuse(mount.at, f"{source} is of this machine, and the pod runs on another: leave it out")
            return []
        if found.leads_out(source, mount.at):
            return []
        kind = found.around.kind(source)
        if kind is None:
            found.refuse(mount.at, f"there is no {source} here: a file or folder is sent along with the pod")
            return []
        wanted = label(f"{'file' if kind == 'file' else 'files'}{mount.target}")
        if kind == "file":
            key = source.rpartition("/")[2]
            files = {key: source.removeprefix("./")}
            name = self._parts.volume(wanted, "secret", {"files": files}, source)
            found.sent(source)
            return [{"name": name, "mountPath": mount.target, "readOnly": True, "subPath": key}]
        if mount.read_only:
            directory = source.removeprefix("./").rstrip("/") or "."
            name = self._parts.volume(wanted, "secret", {"directory": directory}, source)
            found.sent(source)
            return [{"name": name, "mountPath": mount.target, "readOnly": True}]
        found.refuse(
            mount.at,
            f"{source} is a folder of this machine, where the pod cannot write: write `:ro` behind it, "
            "or name a volume of `volumes`",
        )
        return []

    def _given(self, kind: str, base: str, entry: object, at: Location) -> list[dict[str, object]]:
        """A secret or a config, by its name or with its own path."""
        found = self._found
        more = entry if isinstance(entry, Mapping) else {"source": entry}
        source = text_of(more.get("source", ""), (*at, "source") if more is entry else at, found)
        for key in more:
            if key in ("uid", "gid", "mode"):
                found.note("secrets and configs belong to the pod's user, who only reads them")
            elif key not in ("source", "target"):
                found.refuse((*at, str(key)), "leave it out: a file has its `source` and its `target`")
        target = text_of(more.get("target", source), at, found)
        path = target if target.startswith("/") else base + target
        if source not in self._top[kind]:
            found.refuse(at, f"no {kind.removesuffix('s')} {source!r} in `{kind}` of this file")
            return []
        where: Location = (kind, source)
        what = found.mapping(self._top[kind][source], where)
        file = what.get("file")
        if not isinstance(file, str):
            found.refuse(where, "write `file: FILE`: what it holds is sent along, sealed")
            return []
        for key in what.keys() - {"file", "name", "labels"}:
            found.refuse((*where, key), "leave it out: a file is all that it is here")
        wanted, key = label(f"{kind.removesuffix('s')}-{source}"), path.rpartition("/")[2]
        file = text_of(file, (*where, "file"), found).removeprefix("./")
        if found.leads_out(file, (*where, "file")):
            return []
        found.sent(file)
        name = self._parts.volume(wanted, "secret", {"files": {key: file}}, (key, file))
        return [{"name": name, "mountPath": path, "readOnly": True, "subPath": key}]


def _entry(name: str, mount: Mount) -> dict[str, object]:
    made: dict[str, object] = {"name": name, "mountPath": mount.target}
    return made | ({"readOnly": True} if mount.read_only else {})
