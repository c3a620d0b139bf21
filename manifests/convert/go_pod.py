# SPDX-License-Identifier: Apache-2.0
"""Pod manifests of the Go implementation (comrade-coop/apocryph) in their wire form.

Source of the format: its `proto/pod.proto`, as YAML or JSON; names of fields are
protobuf's in camelCase, numbers may be texts.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from trustedpods.manifests.convert.findings import Findings
from trustedpods.manifests.convert.parts import MADE_UP_VOLUME, SCRATCH, PodParts, Way
from trustedpods.manifests.convert.values import image_name, label, literal
from trustedpods.manifests.problem import Location

DATA_KEY = "data"
"""What a secret's file is called inside its volume: a container mounts it alone."""

_UNITS = {"amount": 1, "amountKibi": 1 << 10, "amountMebi": 1 << 20, "amountGibi": 1 << 30}
_MIB = 1 << 20
_CONTAINER = frozenset({
    "name", "image", "entrypoint", "command", "workingDir", "ports", "env", "volumes", "resourceRequests",
})  # fmt: skip
_HUMAN = {
    "type": "write a file for each kind: a Pod has containers",
    "version": "leave it out: `apiVersion` is written here",
    "port": "write `ports: [{containerPort: 8080}]`",
    "host": "write `ports: [{hostHttpHost: ...}]`",
    "resources": "write `resourceRequests: [{resource: cpu, amountMillis: 100}]`",
    "capabilities": "leave it out: no capability of the kernel is given",
    "source": "write `filesystem: {...}` or `secret: {file: FILE}`",
}
"""Words of the other form of these files, which has no schema, and of branches of it."""


@dataclass(frozen=True, slots=True)
class _Volume:
    """A volume of the file: what it is called in the manifest, and whether it is one file."""

    name: str
    is_file: bool = False


@dataclass(slots=True)
class _Port:
    """One port, and the fields that say how it is reached."""

    at: Location
    port: int
    entry: Mapping[str, object]


def is_go_pod(tree: Mapping[str, object]) -> bool:
    """Whether *tree* is such a file: containers at its top, each with an image that has a url."""
    containers = tree.get("containers")
    if not isinstance(containers, list) or not containers or {"apiVersion", "kind", "spec"} & tree.keys():
        return False
    return all(isinstance(one, Mapping) and isinstance(one.get("image"), Mapping) for one in containers)


def from_go_pod(tree: Mapping[str, object], name: str, found: Findings) -> dict[str, object]:
    """The manifest of the pod, called *name*: these files have no name in them."""
    parts = PodParts(found)
    for key, value in tree.items():
        if key == "keyPair":
            found.refuse((key,), "a pod here has no wallet: give it a key of its own in a secret volume")
        elif key == "verificationSettings":
            _no_signers(value, (key,), found)
        elif key not in ("containers", "volumes", "replicas"):
            found.refuse((key,), _HUMAN.get(key, "there is no such field in proto/pod.proto"))
    volumes = _volumes(parts, tree.get("volumes"))
    for index, one in enumerate(found.items(tree.get("containers"), ("containers",))):
        at: Location = ("containers", index)
        parts.containers.append(_container(parts, found.mapping(one, at), at, volumes))
    _replicas(parts, tree.get("replicas"))
    return parts.tree(name)


def _container(
    parts: PodParts, one: Mapping[str, object], at: Location, volumes: Mapping[str, _Volume]
) -> dict[str, object]:
    found = parts.found
    for key in one.keys() - _CONTAINER:
        found.refuse((*at, key), _HUMAN.get(key, "there is no such field in proto/pod.proto"))
    name = label(_text(one.get("name", "app"), (*at, "name"), found))
    made: dict[str, object] = {"name": name, "image": _image(one.get("image"), (*at, "image"), found)}
    for field, target in (("entrypoint", "command"), ("command", "args")):  # as Docker calls them
        if field in one:
            words = found.items(one[field], (*at, field))
            made[target] = [_text(word, (*at, field, index), found) for index, word in enumerate(words)]
    if "workingDir" in one:
        made["workingDir"] = _text(one["workingDir"], (*at, "workingDir"), found)
    env = found.mapping(one.get("env"), (*at, "env"))
    if env:
        made["env"] = [
            {"name": key, "value": literal(_text(value, (*at, "env", key), found))}
            for key, value in env.items()
        ]
    if ports := _ports(parts, name, one.get("ports"), (*at, "ports")):
        made["ports"] = ports
    if limits := _limits(one.get("resourceRequests"), (*at, "resourceRequests"), found):
        made["resources"] = {"limits": limits}
    if mounts := _mounts(one.get("volumes"), (*at, "volumes"), volumes, found):
        made["volumeMounts"] = mounts
    return made


def _image(value: object, at: Location, found: Findings) -> str:
    image = found.mapping(value, at)
    for key in image:
        if key == "verificationDetails":
            _no_signers(image[key], (*at, key), found)
        elif key in ("cid", "key"):
            found.note("cid and key are left out: images are sent by the client, sealed")
        elif key != "url":
            found.refuse((*at, key), "an image has a url")
    url = image.get("url")
    if not isinstance(url, str) or not url:
        found.refuse((*at, "url"), "write the image's name")
        return ""
    return image_name(url.removeprefix("docker://"), (*at, "url"), found)


def _no_signers(value: object, at: Location, found: Findings) -> None:
    if value not in (None, {}):
        found.refuse(at, "leave it out: an image is pinned by its digest, no signer of it is asked for")


def _ports(parts: PodParts, name: str, value: object, at: Location) -> list[dict[str, object]]:
    found = parts.found
    made: list[dict[str, object]] = []
    for index, entry in enumerate(found.items(value, at)):
        where: Location = (*at, index)
        one = found.mapping(entry, where)
        port = _number(one.get("containerPort"), (*where, "containerPort"), found)
        if port is None:
            continue
        udp = "hostUdpPort" in one
        if parts.listen(name, port, "udp" if udp else "tcp", where):
            made.append({"containerPort": port} | ({"protocol": "UDP"} if udp else {}))
            _expose(parts, _Port(where, port, one))
    return made


def _expose(parts: PodParts, one: _Port) -> None:
    found, entry = parts.found, one.entry
    for key in entry.keys() - {
        "containerPort", "name", "servicePort", "hostHttpHost", "hostTcpPort", "hostUdpPort",
    }:  # fmt: skip
        found.refuse((*one.at, key), "there is no such field in proto/pod.proto")
    outer = None
    if "servicePort" in entry:
        outer = _number(entry["servicePort"], (*one.at, "servicePort"), found) or None
        if outer not in (None, one.port) and "hostHttpHost" not in entry:
            text = f"containers of a pod reach each other at the port itself: {one.port}"
            found.refuse((*one.at, "servicePort"), text)
    if "hostHttpHost" in entry:
        host = _text(entry["hostHttpHost"], (*one.at, "hostHttpHost"), found)
        parts.expose("http", one.port, outer, [host] if host else None)
        if host:
            found.note(
                f"host {host}: your DNS has to name the provider before it serves there (docs/facade.md)"
            )
    ways: tuple[tuple[str, Way], ...] = (("hostTcpPort", "tcp"), ("hostUdpPort", "udp"))
    for field, way in ways:
        if field not in entry:
            continue
        if _number(entry[field], (*one.at, field), found):
            text = "write 0: the provider chooses the port by which it is reached, and deploy prints it"
            found.refuse((*one.at, field), text)
        parts.expose(way, one.port)


def _limits(value: object, at: Location, found: Findings) -> dict[str, object]:
    limits: dict[str, object] = {}
    for index, entry in enumerate(found.items(value, at)):
        where: Location = (*at, index)
        one = found.mapping(entry, where)
        resource = one.get("resource")
        if resource not in ("cpu", "memory", "ephemeral-storage"):
            found.refuse((*where, "resource"), "leave it out: a pod has cpu, memory and ephemeral-storage")
        elif (thousandths := _amount(one, where, found)) is None:
            continue
        elif resource == "cpu":
            limits["cpu"] = f"{max(1, -(-thousandths // 1))}m"
        else:
            limits[str(resource)] = f"{max(1, -(-thousandths // (1000 * _MIB)))}Mi"
    if limits:
        found.note("resourceRequests are the container's limits here: a pod gets, and pays, exactly those")
    return limits


def _amount(one: Mapping[str, object], at: Location, found: Findings) -> int | None:
    """Thousandths of whatever is asked for."""
    for key, value in one.items():
        if key in _UNITS:
            number = _number(value, (*at, key), found)
            return None if number is None else number * _UNITS[key] * 1000
        if key == "amountMillis":
            return _number(value, (*at, key), found)
    found.refuse(at, "write amount, amountMillis, amountKibi, amountMebi or amountGibi")
    return None


def _volumes(parts: PodParts, value: object) -> dict[str, _Volume]:
    """Makes the pod's volumes; each by its name in the file."""
    found = parts.found
    made: dict[str, _Volume] = {}
    for index, entry in enumerate(found.items(value, ("volumes",))):
        at: Location = ("volumes", index)
        one = found.mapping(entry, at)
        name, kind = _text(one.get("name", ""), (*at, "name"), found), one.get("type", "VOLUME_EMPTY")
        for key in one.keys() - {"name", "type", "accessMode", "filesystem", "secret"}:
            found.refuse((*at, key), _HUMAN.get(key, "there is no such field in proto/pod.proto"))
        if name in made:
            found.refuse((*at, "name"), f"there is a volume {name!r} above: give each a name of its own")
            continue
        made[name] = _Volume(label(name))  # for mounts of one that is refused below
        if kind in ("VOLUME_EMPTY", 0):
            size = _size(one, at, found) or SCRATCH
            made[name] = _Volume(parts.new_volume(label(name), "emptyDir", {"sizeLimit": size}))
        elif kind in ("VOLUME_FILESYSTEM", 1):
            made[name] = _Volume(_filesystem(parts, name, one, at))
        elif kind in ("VOLUME_SECRET", 2):
            made[name] = _Volume(_secret(parts, name, one, at), is_file=True)
        else:
            found.refuse((*at, "type"), "write VOLUME_EMPTY, VOLUME_FILESYSTEM or VOLUME_SECRET")
    return made


def _size(one: Mapping[str, object], at: Location, found: Findings) -> str | None:
    where: Location = (*at, "filesystem", "resourceRequests")
    filesystem = found.mapping(one.get("filesystem"), where[:-1])
    for index, entry in enumerate(found.items(filesystem.get("resourceRequests"), where)):
        request = found.mapping(entry, (*where, index))
        if request.get("resource") == "storage" and (size := _amount(request, (*where, index), found)):
            return f"{max(1, -(-size // (1000 * _MIB)))}Mi"
    return None


def _filesystem(parts: PodParts, name: str, one: Mapping[str, object], at: Location) -> str:
    size, mode = _size(one, at, parts.found), one.get("accessMode", "VOLUME_RW_ONE")
    if size is None:
        parts.found.note(f"volume {name}: {MADE_UP_VOLUME} here, which is billed; write what it needs")
    if mode not in ("VOLUME_RW_ONE", 0):
        text = (
            "write VOLUME_RW_ONE: all replicas at once need a storage class, which only a manifest here names"
        )
        parts.found.refuse((*at, "accessMode"), text)
    return parts.new_volume(label(name), "persistent", {"size": size or MADE_UP_VOLUME})


def _secret(parts: PodParts, name: str, one: Mapping[str, object], at: Location) -> str:
    secret = parts.found.mapping(one.get("secret"), (*at, "secret"))
    for key in secret.keys() - {"file"}:
        text = "write `file: FILE`: a secret stands in a file beside the manifest, not in it"
        parts.found.refuse((*at, "secret", key), text)
    if "file" not in secret:
        return label(name)
    file = _text(secret["file"], (*at, "secret", "file"), parts.found).removeprefix("./")
    if parts.found.leads_out(file, (*at, "secret", "file")):
        return label(name)
    parts.found.sent(file)
    return parts.new_volume(label(name), "secret", {"files": {DATA_KEY: file}})


def _mounts(
    value: object, at: Location, volumes: Mapping[str, _Volume], found: Findings
) -> list[dict[str, object]]:
    made: list[dict[str, object]] = []
    for index, entry in enumerate(found.items(value, at)):
        where: Location = (*at, index)
        one = found.mapping(entry, where)
        name = _text(one.get("name", ""), (*where, "name"), found)
        if name not in volumes:
            found.refuse((*where, "name"), f"no volume {name!r} in `volumes`")
            continue
        mount: dict[str, object] = {
            "name": volumes[name].name,
            "mountPath": _text(one.get("mountPath", ""), (*where, "mountPath"), found),
        }
        if volumes[name].is_file:  # mounted as one file at the path itself
            mount |= {"readOnly": True, "subPath": DATA_KEY}
        elif one.get("readOnly") is True:
            mount["readOnly"] = True
        made.append(mount)
    return made


def _replicas(parts: PodParts, value: object) -> None:
    found = parts.found
    replicas = found.mapping(value, ("replicas",))
    for key in replicas:
        at: Location = ("replicas", key)
        target = {"min": "min", "max": "max", "targetPendingRequests": "concurrency"}.get(key)
        if target is None:
            found.refuse(at, "write min, max and targetPendingRequests")
        elif (number := _number(replicas[key], at, found)) is not None:
            parts.scale[target] = number


def _number(value: object, at: Location, found: Findings) -> int | None:
    """A number, also as a text, as protobuf writes 64 bits."""
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or len(text) > 18:
        found.refuse(at, "a whole number is expected here")
        return None
    return int(text)


def _text(value: object, at: Location, found: Findings) -> str:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        found.refuse(at, "a text is expected here")
        return ""
    return str(value)
