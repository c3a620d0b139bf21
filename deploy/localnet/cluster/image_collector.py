# SPDX-License-Identifier: Apache-2.0
"""Takes images of ended pods off a node: `python -m ...image_collector CONTAINERD_SOCKET REGISTRY [URL PKI]`.

A node that is not the registry's asks at URL, with the node's certificate in the folder PKI.

The kubelet's own collection goes by the fullness of the whole machine's disk, and with containers of
containerd 1.6, which pins nothing, it would take the node's own images too. This goes by the provider's
registry: what that still has belongs to a pod that is here, awake or asleep, and stays.
"""

import http.client
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

LOOK_EVERY_S = 15.0
"""An ended pod's layers lie here for so long, and for as long as containerd's collector takes (a second)."""

_ASKED_WITHIN_S = 10.0
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json"
)


@dataclass(frozen=True, slots=True)
class ImageName:
    """A name that containerd has for an image, and the digest of what it names."""

    name: str
    digest: str


def parse(listing: str) -> list[ImageName]:
    """The names in the output of `ctr images ls`, whose columns are REF TYPE DIGEST and more."""
    rows = (line.split() for line in listing.splitlines()[1:])
    return [ImageName(row[0], row[2]) for row in rows if len(row) > 2]


def superfluous(names: Iterable[ImageName], registry: str, exists: Callable[[str, str], bool]) -> list[str]:
    """Names of images of *registry* that it has no more, and the nameless ones that only those had.

    *exists* is asked with repository and reference (a tag or a digest). Names of other places stay.
    """
    names = list(names)
    gone = {image.name for image in names if _is_gone(image.name, registry, exists)}
    held = {image.digest for image in names if "/" in image.name and image.name not in gone}
    of_gone = {image.digest for image in names if image.name in gone} - held
    nameless = {image.name for image in names if image.name.startswith("sha256:") and image.digest in of_gone}
    return sorted(gone | nameless)


def _is_gone(name: str, registry: str, exists: Callable[[str, str], bool]) -> bool:
    if not name.startswith(f"{registry}/"):
        return False
    path = name.removeprefix(f"{registry}/")
    for mark in ("@", ":"):
        repository, found, reference = path.partition(mark)
        if found:
            return not exists(repository, reference)
    return False


@dataclass(frozen=True, slots=True)
class RegistryPlace:
    """Where the registry is asked: `http://HOST:PORT`, or https with the node's certificate in *pki*."""

    url: str
    pki: Path | None = None

    def connect(self) -> http.client.HTTPConnection:
        """A connection of its own for each question."""
        where = urlsplit(self.url).netloc
        if self.pki is None:
            return http.client.HTTPConnection(where, timeout=_ASKED_WITHIN_S)
        context = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
        context.load_cert_chain(self.pki / "node.crt", self.pki / "node.key")
        return http.client.HTTPSConnection(where, timeout=_ASKED_WITHIN_S, context=context)


def collect(socket: str, registry: str, place: RegistryPlace | None = None) -> list[str]:
    """One look; the names that were removed. OSError when containerd or the registry does not answer."""
    asked = place or RegistryPlace(f"http://{registry}")
    ctr = ["ctr", "--address", socket, "--namespace", "k8s.io", "images"]
    listing = _run([*ctr, "ls"])
    doomed = superfluous(parse(listing), registry, lambda *image: _exists(asked, *image))
    if doomed:
        _run([*ctr, "rm", *doomed])
    return doomed


def _exists(place: RegistryPlace, repository: str, reference: str) -> bool:
    connection = place.connect()
    try:
        connection.request("HEAD", f"/v2/{repository}/manifests/{reference}", headers={"Accept": _MANIFESTS})
        status = connection.getresponse().status
    finally:
        connection.close()
    if status not in (200, 404):
        raise OSError(f"the registry answers {status}")
    return status == 200


def _run(argv: list[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program and containerd's own names
            argv, capture_output=True, text=True, check=True, timeout=120
        )
    except subprocess.SubprocessError as error:
        raise OSError(f"{argv[0]}: {error}") from error
    return done.stdout


def main(socket: str, registry: str, url: str | None = None, pki: str | None = None) -> None:
    """Look for ever; what does not answer now is asked again later."""
    place = RegistryPlace(url, Path(pki)) if url and pki else None
    while True:
        time.sleep(LOOK_EVERY_S)
        try:
            removed = collect(socket, registry, place)
        except (OSError, http.client.HTTPException) as error:
            print(f"not now: {error}", flush=True)  # noqa: T201 - its log
        else:
            for name in removed:
                print(f"removed {name}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
