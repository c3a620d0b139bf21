# SPDX-License-Identifier: Apache-2.0
"""Archives with one trait each, and what becomes of them: read, or refused with these words.

`expected` is the WHICH of the image that is read; `refused` a part of the message; `name` what follows the
file's name.
"""

import gzip
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.fakes.images.image_parts import (
    APP,
    DOCKER_LAYER,
    EMPTY,
    FULL,
    NET_BIND,
    PROGRAM,
    REF,
    SCRIPT,
    Parts,
    entry,
    gzipped,
    in_two,
    tar,
    zstd,
)
from tests.fakes.images.oci_images import CONFIG, INDEX, LAYER, MANIFEST, descriptor, digest


@dataclass(frozen=True)
class Case:
    """One archive, and the image that is read, or the words of the refusal.

    `provider` are the words of a provider's refusal, "" where it takes what a client would not send;
    None: the archive says nothing that it would see.
    """

    make: Callable[[Parts], bytes]
    expected: str | None = None
    refused: str | None = None
    name: str = ""
    kind: str = "oci-archive"
    provider: str | None = None


def image_case(refused: str | None = None, provider: str | None = None, **traits: Any) -> Case:
    """An archive with one image, which has these traits; a provider says the same of it as a client."""
    expected = None if refused else "app"
    words = provider if provider is not None else refused or ""
    return Case(lambda parts: parts.archive(parts.image(**traits)), expected, refused, provider=words)


def _two(first: dict[str, str], second: dict[str, str]) -> Callable[[Parts], bytes]:
    return lambda parts: parts.archive(
        parts.image("one", annotations=first), parts.image("two", annotations=second)
    )


_SHOP = _two({REF: "1.0", FULL: "docker.io/shop/web:1.0"}, {REF: "1.0", FULL: "docker.io/shop/worker:1.0"})


def _nested(parts: Parts, **note: Any) -> bytes:
    """As `docker save` writes it now: one named index, with provenance, other platforms left out."""
    image = parts.image(platform={"architecture": "amd64", "os": "linux"})
    statement = parts.document("application/vnd.in-toto+json", {"_type": "statement"})
    about = {"config": parts.document(CONFIG, {"architecture": "unknown"}), "layers": [statement]}
    provenance = parts.document(MANIFEST, {"schemaVersion": 2, **about}) | note
    absent = descriptor(MANIFEST, b"absent", platform={"architecture": "arm64", "os": "linux"})
    inner = parts.document(INDEX, {"schemaVersion": 2, "manifests": [absent, provenance, image]})
    return parts.archive(inner | {"annotations": {FULL: "docker.io/shop/web:1.0", REF: "1.0"}})


def _beside(config_kind: str, layer_kind: str, **manifest: Any) -> Callable[[Parts], bytes]:
    """Something about an image, which stands before it in the index."""

    def make(parts: Parts) -> bytes:
        about = {"config": parts.add(config_kind, b"{}"), "layers": [parts.add(layer_kind, b"about it")]}
        other = parts.document(MANIFEST, {"schemaVersion": 2, **about, **manifest})
        return parts.archive(other, parts.image())

    return make


def _docker_save(*images: tuple[str, list[str] | None]) -> Callable[[Parts], bytes]:
    """As an older `docker save` writes it; (which, tags) of each image."""

    def make(parts: Parts) -> bytes:
        base = parts.layer(APP)
        files, listed = {"layer/layer.tar": base}, []
        for which, tags in images:
            run = {"Entrypoint": ["/app"], "User": "10001", "Env": [f"WHICH={which}"]}
            rootfs = {"type": "layers", "diff_ids": [digest(base)]}
            config = {"architecture": "amd64", "os": "linux", "config": run, "rootfs": rootfs}
            data = json.dumps(config).encode()
            files[f"{digest(data)[7:]}.json"] = data
            listed.append(
                {"Config": f"{digest(data)[7:]}.json", "RepoTags": tags, "Layers": ["layer/layer.tar"]}
            )
        files["manifest.json"] = json.dumps(listed).encode()
        return tar(*(entry(name, data) for name, data in files.items()), form=tarfile.USTAR_FORMAT)

    return make


def file_capability(*later: bytes) -> dict[str, Any]:
    """An image whose /usr/bin/app has a capability, under later layers."""
    xattr = {"SCHILY.xattr.security.capability": NET_BIND}
    return {"layers": (tar(entry("usr/bin/app", PROGRAM, pax_headers=xattr)), *later)}


def _raw(parts: Parts, tree: str) -> bytes:
    """An image whose manifest is this text."""
    image = parts.image()
    sound = parts.blobs[image["digest"]].decode()
    return parts.archive(parts.add(MANIFEST, tree.replace("SOUND", sound[1:-1]).encode()))


_WHITEOUTS = tar(
    entry("data/.wh.gone"), entry("opaque/.wh..wh..opq"), entry("data/" + "n" * 200 + "/" + "m" * 90, b"x")
)


CASES: dict[str, Case] = {
    "one image": image_case(),
    "docker types": image_case(docker=True),
    "names with ./": Case(lambda parts: parts.archive(parts.image(), prefix="./"), "app"),
    "gzipped": Case(
        lambda parts: gzip.compress(parts.archive(parts.image())), refused="not an uncompressed tar archive"
    ),
    # names
    "two, unnamed": Case(_SHOP, refused="docker.io/shop/web:1.0, docker.io/shop/worker:1.0"),
    "two, by a tag that both have": Case(_SHOP, refused="2 images are named '1.0'", name=":1.0"),
    "two, in full": Case(_SHOP, "two", name=":docker.io/shop/worker:1.0"),
    "two, as Docker shows them": Case(_SHOP, "one", name=":shop/web:1.0"),
    "two, a name that neither has": Case(_SHOP, refused="there is: docker.io/shop/web:1.0", name=":shop/db"),
    "two tags": Case(_two({REF: "1.0"}, {REF: "2.0"}), "two", name=":2.0"),
    "two without names": Case(_two({}, {}), refused="2 images in it; there is: sha256:"),
    "podman's name": Case(
        _two({REF: "localhost/shop/web:1.0"}, {REF: "x:2"}), "one", name=":localhost/shop/web:1.0"
    ),
    "podman's name by its tag": Case(_two({REF: "localhost/shop/web:1.0"}, {REF: "x:2"}), "one", name=":1.0"),
    "the same image twice": Case(
        lambda parts: parts.archive(parts.image(annotations={REF: "a"}), parts.image(annotations={REF: "b"})),
        "app",
    ),
    "docker save": Case(_docker_save(("app", ["shop/web:1.0"])), "app", kind="docker-archive"),
    "docker save of two": Case(
        _docker_save(("one", ["shop/web:1.0"]), ("two", ["shop/worker:1.0"])),
        refused="2 images in it; there is: shop/web:1.0, shop/worker:1.0",
        kind="docker-archive",
    ),
    "docker save of two, by name": Case(
        _docker_save(("one", ["shop/web:1.0"]), ("two", ["shop/worker:1.0"])),
        "two",
        name=":shop/worker:1.0",
        kind="docker-archive",
    ),
    "docker save of two, by a shared tag": Case(
        _docker_save(("one", ["shop/web:1.0"]), ("two", ["shop/worker:1.0"])),
        refused="are named '1.0'",
        name=":1.0",
        kind="docker-archive",
    ),
    "docker save without names": Case(
        _docker_save(("one", None), ("two", None)), refused="there is: sha256:", kind="docker-archive"
    ),
    "docker save as an OCI archive": Case(_docker_save(("one", None)), refused="no file oci-layout"),
    # what stands beside images
    "docker save with provenance": Case(
        lambda parts: _nested(parts, platform={"architecture": "unknown"}), "app"
    ),
    "provenance by its annotation": Case(
        lambda parts: _nested(parts, annotations={"vnd.docker.reference.type": "attestation-manifest"}), "app"
    ),
    "provenance by its layers": Case(_nested, "app"),
    "a signature first": Case(_beside(CONFIG, "application/vnd.dev.cosign.simplesigning.v1+json"), "app"),
    "an SBOM first": Case(
        _beside(EMPTY, "application/spdx+json", artifactType="application/spdx+json"), "app"
    ),
    "a chart first": Case(_beside("application/vnd.cncf.helm.config.v1+json", "application/tar+gzip"), "app"),
    "an unknown type first": Case(lambda parts: parts.archive(parts.add("a/b", b"x"), parts.image()), "app"),
    "nothing but a signature": Case(
        lambda parts: parts.archive(parts.add("a/b", b"x")), refused="no image for linux/amd64"
    ),
    "arm alone": image_case("there is: linux/arm64", "for linux/arm64", config={"architecture": "arm64"}),
    "no architecture": image_case("no image for linux/amd64", "for linux/?", config={"architecture": None}),
    # layers
    "two gzip members": image_case(pack=in_two),
    "zstd": image_case(pack=zstd, kinds=(LAYER + "+zstd",)),
    "Docker's zstd": image_case(
        "cannot be used here", docker=True, pack=zstd, kinds=(DOCKER_LAYER + ".zstd",)
    ),
    "plain": image_case(pack=bytes, kinds=(LAYER,)),
    "whiteouts": image_case(layers=(APP, _WHITEOUTS)),
    "GNU form": image_case(layers=(APP, tar(entry("n" * 150, PROGRAM), form=tarfile.GNU_FORMAT))),
    "links and a fifo": image_case(
        layers=(
            APP,
            tar(
                entry("data/file", b"there"),
                entry("hard", type=tarfile.LNKTYPE, linkname="data/file"),
                entry("soft", type=tarfile.SYMTYPE, linkname="/app"),
                entry("fifo", type=tarfile.FIFOTYPE),
            ),
        )
    ),
    "a hard link by way of a link": image_case(
        layers=(
            APP,
            tar(
                entry("data", type=tarfile.SYMTYPE, linkname="/var"),
                entry("var/file", b"there"),
                entry("hard", type=tarfile.LNKTYPE, linkname="data/file"),
            ),
        )
    ),
    "a file by way of a link": image_case(
        layers=(
            APP,
            tar(
                entry("data", type=tarfile.SYMTYPE, linkname="/var"),
                entry("data/file", b"there"),
                entry("hard", type=tarfile.LNKTYPE, linkname="var/file"),
            ),
        )
    ),
    "a hard link to nothing by way of a link": image_case(
        "not before it in that layer",
        layers=(
            APP,
            tar(
                entry("data", type=tarfile.SYMTYPE, linkname="/var"),
                entry("hard", type=tarfile.LNKTYPE, linkname="data/file"),
            ),
        ),
    ),
    "a hard link to another layer": image_case(
        "not before it in that layer",
        layers=(APP, tar(entry("hard", type=tarfile.LNKTYPE, linkname="app"))),
    ),
    "a hard link to what follows": image_case(
        "not before it in that layer",
        layers=(APP, tar(entry("hard", type=tarfile.LNKTYPE, linkname="late"), entry("late"))),
    ),
    "a hard link to itself": image_case(
        "not before it in that layer",
        layers=(APP, tar(entry("hard"), entry("hard", type=tarfile.LNKTYPE, linkname="hard"))),
    ),
    "a hard link to a folder": image_case(
        "which is a folder",
        layers=(
            APP,
            tar(entry("data", type=tarfile.DIRTYPE), entry("hard", type=tarfile.LNKTYPE, linkname="data")),
        ),
    ),
    "a file below a file": image_case("which is no folder", layers=(APP, tar(entry("a"), entry("a/b/c")))),
    "a folder in a file's place": image_case(
        layers=(APP, tar(entry("a"), entry("a", type=tarfile.DIRTYPE), entry("a/b")))
    ),
    "a layer twice": image_case(layers=(APP, APP)),
    "no layers": image_case("/app is not in the image", "", layers=()),
    "gzip that is plain": image_case("not what its type says", pack=bytes),
    "plain that is gzip": image_case("ends within an entry", kinds=(LAYER,)),
    "gzip cut short": image_case("not what its type says", pack=lambda data: gzipped(data)[:-9]),
    "zstd cut short": image_case(
        "not what its type says", pack=lambda data: zstd(data)[:-9], kinds=(LAYER + "+zstd",)
    ),
    "no archive": image_case("not an archive", layers=(b"text " * 200,)),
    "an archive cut short": image_case("ends within an entry", layers=(APP[:1600],)),
    "a foreign layer": image_case(
        "cannot be used here", kinds=(LAYER.replace("v1.tar", "nondistributable.v1.tar+gzip"),)
    ),
    # descriptors
    "urls": image_case("'urls'", layer={"urls": ["http://10.0.0.1/layer"]}),
    "urls, docker": image_case("'urls'", layer={"urls": ["http://10.0.0.1/layer"]}, docker=True),
    "no urls": image_case(layer={"urls": []}),
    "embedded data": image_case("'data'", layer={"data": "eA=="}),
    "an annotation for nodes": image_case(
        "take for an order", layer={"annotations": {"containerd.io/snapshot.ref": "x"}}
    ),
    "an annotation": image_case(layer={"annotations": {"org.example": "x"}}),
    "a subject": image_case("'subject'", manifest={"subject": descriptor(MANIFEST, b"x")}),
    "layers in another case": Case(
        lambda parts: _raw(parts, '{SOUND, "Layers": []}'), refused="names a field twice"
    ),
    "layers twice": Case(lambda parts: _raw(parts, '{SOUND, "layers": []}'), refused="names a field twice"),
    "a size that lies": image_case("bytes, not", "names other blobs", layer={"size": 1}),
    "a size that is no number": image_case("the bound is", layer={"size": True}),
    # what it runs
    "no command": image_case("names no program", run={"Entrypoint": None}),
    "an empty command": image_case("names no program", run={"Entrypoint": [], "Cmd": [""]}),
    "a command alone": image_case(run={"Entrypoint": None, "Cmd": ["/app"]}),
    "no config at all": image_case("as root", config={"config": None}),
    "null fields": image_case(run={"Cmd": None, "Volumes": None, "Labels": None}),
    "a program with capabilities": image_case(
        "file capabilities", "", **file_capability(), run={"Entrypoint": ["/usr/bin/app"]}
    ),
    "the same by PATH": image_case("file capabilities", "", **file_capability(), run={"Entrypoint": ["app"]}),
    "capabilities of another program": image_case(**file_capability(APP)),
    "capabilities taken away": image_case(
        **file_capability(APP, tar(entry("usr/bin/app", SCRIPT))), run={"Entrypoint": ["/usr/bin/app"]}
    ),
    "a stop signal": image_case(run={"StopSignal": "SIGQUIT"}),
    "a stop signal's number": image_case(run={"StopSignal": "37"}),
    "a stop signal that is none": image_case("stop signal", run={"StopSignal": "SIGNOTHING"}),
}
_BAD_USERS = {
    "": "as root", "root": "as root", "0": "as root", "0:0": "as root", "00": "as root", ":5": "as root",
    "nginx": "is a name", "app:app": "is a name", "1e3": "is a name", "²": "is a name", "10001 ": "is a name",
    "2147483648": "no number up to", "4294967295": "no number up to", "9" * 400: "no number up to",
    "10001:app": "group", "10001:2147483648": "group", "1:2:3": "group", "-5": "is a name",
}  # fmt: skip
CASES |= {f"user {user[:20]!r}": image_case(words, run={"User": user}) for user, words in _BAD_USERS.items()}
CASES |= {
    f"user {user!r}": image_case(run={"User": user})
    for user in ("1", "10001", "65534:65534", "10001:0", "0010001", "+10001", "2147483647")
}


def bytes_of(case: Case, program: bytes = PROGRAM) -> bytes:
    """The case's archive, with this program in it."""
    return case.make(Parts(program=program))


def names_in(message: str) -> Iterator[str]:
    """The names that a refusal offers."""
    yield from message.rpartition("there is: ")[2].partition(" [")[0].split(", ")
