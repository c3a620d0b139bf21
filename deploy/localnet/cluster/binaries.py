# SPDX-License-Identifier: Apache-2.0
"""The Go programs of the embedded cluster: where they are, and building them once.

`python -m trustedpods.localnet.cluster.binaries` (part of `make setup`) builds what is missing. A build is
named after a hash of its sources, so checkouts that share a home share builds and never mix them.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from trustedpods.localnet.cluster import container_runtime, ingress_controller
from trustedpods.localnet.cluster.container_runtime import ContainerRuntime
from trustedpods.localnet.folders import waiting_for
from trustedpods.protocol.errors import NoContext, TrustedPodsError

KUBERNETES_VERSION = "1.36.3"
PROVISIONER_VERSION = "v0.0.30"
PEBBLE_VERSION = "v2.10.3"
VERSITYGW_VERSION = "v1.8.0"

PAUSE = "docker.io/local/pause:1"
"""Image that holds a pod's namespaces open."""

BUSYBOX = "docker.io/local/busybox:1"
"""Image in which the storage provisioner runs its scripts."""

NODE_IMAGES = ("pause", "busybox")
"""What a node has before any registry: archives of deploy/images."""

_INSTALLED_PLUGIN = Path("/usr/lib/cni/trustedpods-netpol")
"""Beside Debian's plugins, in a machine's image."""

_PROVISIONER_MODULE = "github.com/rancher/local-path-provisioner"
_PEBBLE_MODULE = "github.com/letsencrypt/pebble/v2/cmd/pebble"
_VERSITYGW_MODULE = "github.com/versity/versitygw/cmd/versitygw"
_VERSION_PACKAGE = "k8s.io/component-base/version"


def checkout() -> Path:
    """The source tree that this module runs from (links are resolved)."""
    return Path(__file__).resolve().parents[3]


def cache() -> Path:
    """Folder of what is built once: $TRUSTEDPODS_CACHE, or the user's cache folder."""
    if "TRUSTEDPODS_CACHE" in os.environ:
        return Path(os.environ["TRUSTEDPODS_CACHE"])
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "trustedpods"


def installed() -> Path | None:
    """Folder of programs that came with a machine's image ($TRUSTEDPODS_PROGRAMS): there nothing is built."""
    folder = os.environ.get("TRUSTEDPODS_PROGRAMS")
    return Path(folder) if folder else None


def kube() -> Path:
    """Where the multi-call Kubernetes binary of these sources is, built or not."""
    if there := installed():
        return there / "kube"
    return cache() / f"kube-{_digest(_go_sources().glob('*.go'))}"


def netpol() -> Path:
    """Where the network policy agent of these sources is, built or not."""
    if there := installed():
        return there / "trustedpods-netpol-agent"
    return cache() / f"netpol-{_digest(_netpol_sources())}"


def netpol_cni() -> Path:
    """Where the agent's CNI plugin of these sources is, built or not."""
    if installed():
        return _INSTALLED_PLUGIN
    return cache() / f"netpol-cni-{_digest(_netpol_sources())}"


def tunnel() -> Path:
    """Where the program that makes tunnels of these sources is, built or not."""
    if there := installed():
        return there / "trustedpods-tunnel"
    return cache() / f"tunnel-{_digest(_tunnel_sources())}"


def containers() -> Path:
    """Folder of the container runtime of these sources, built or not."""
    if there := installed():
        return there
    return cache() / f"containers-{container_runtime.digest(_containers_sources())}"


def runtime(*, user_namespaces: bool) -> ContainerRuntime:
    """What starts containers on a node: ours where pods have user ids of their own, else Debian's."""
    return container_runtime.own(containers()) if user_namespaces else container_runtime.DEBIAN


def secrets_store() -> Path:
    """Where the stand-in for the secrets store's driver of these sources is, built or not."""
    found = (_go_sources() / "secretsstore").glob("*.go")
    sources = (path for path in found if not path.name.endswith("_test.go"))
    return cache() / f"secretsstore-{_digest(sources)}"


def provisioner() -> Path:
    """Where the storage provisioner is, built or not."""
    if there := installed():
        return there / "local-path-provisioner"
    return cache() / f"local-path-provisioner-{PROVISIONER_VERSION}"


def pebble() -> Path:
    """Where the authority of tests (ACME) is, built or not."""
    return cache() / f"pebble-{PEBBLE_VERSION}"


def versitygw() -> Path:
    """Where the S3 server of tests is, built or not."""
    return cache() / f"versitygw-{VERSITYGW_VERSION}"


def traefik() -> Path:
    """Where the ingress controller's program is, fetched or not; named after what pins it."""
    pinned = hashlib.sha256(_traefik_requirement().read_bytes()).hexdigest()[:16]
    return cache() / f"traefik-{pinned}"


def _traefik_requirement() -> Path:
    return checkout() / "deploy" / "setup" / "traefik.txt"


def image(name: str) -> Path:
    """Archive of an image from deploy/images, built or not."""
    if there := installed():
        return there.parent / "images" / f"{name}.tar"
    return cache() / "images" / f"{name}.tar"


def anvil() -> Path:
    """The chain's node: the native binary, because npm's wrapper hides how it ended."""
    modules = checkout() / "contracts" / "node_modules" / "@foundry-rs"
    found = sorted(modules.glob("anvil-*/bin/anvil"))
    if not found:
        raise NoContext("anvil is not installed", hint="run `make setup`")
    return found[0]


def built(path: Path) -> Path:
    """The program, if it has been built."""
    if not path.exists():
        raise NoContext(f"{path} has not been built", hint="run `make setup`")
    return path


def _go_sources() -> Path:
    return checkout() / "deploy" / "kube"


def _containers_sources() -> Path:
    return checkout() / "deploy" / "containers"


def _netpol_sources() -> Iterator[Path]:
    """What goes into the agent and its plugin; their tests do not."""
    found = (_go_sources() / "netpol").rglob("*.go")
    return (path for path in found if not path.name.endswith("_test.go"))


def _tunnel_sources() -> Iterator[Path]:
    """What goes into the program that makes tunnels, its modules' versions included; its tests do not."""
    folder = checkout() / "deploy" / "tunnel"
    found = [folder / "go.mod", folder / "go.sum", *folder.rglob("*.go")]
    return (path for path in found if not path.name.endswith("_test.go"))


def _digest(files: Iterable[Path]) -> str:
    """Of these files and of the versions of all modules."""
    sources, digest = _go_sources(), hashlib.sha256()
    for path in sorted([sources / "go.mod", sources / "go.sum", *files]):
        name = path.relative_to(sources) if path.is_relative_to(sources) else path.relative_to(checkout())
        digest.update(f"{name}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def build_all() -> None:
    """Build what is missing of what every localnet needs; two callers at once build once."""
    _build(for_every_localnet())


def build_containers() -> None:
    """Build the container runtime where it is missing, for who needs it: it takes a minute or two."""
    told = "building containerd and runc, for pods with user ids of their own (a minute or two)"
    _build([(containers(), partial(container_runtime.build, _go, _containers_sources()), told)])


def _build(wanted: Iterable[tuple[Path, Callable[[Path], Path], str]]) -> None:
    cache().mkdir(parents=True, exist_ok=True)
    with waiting_for(cache() / "build.lock"):
        for target, build, told in wanted:
            if not target.exists():
                _say(told)
                _publish(build, target)


def for_every_localnet() -> Iterator[tuple[Path, Callable[[Path], Path], str]]:
    """Each part: where it is, what makes it in an empty folder, and what is said meanwhile."""
    yield kube(), _build_kube, f"building Kubernetes {KUBERNETES_VERSION} (about 6 minutes on 2 cores, cold)"
    agent = "building the network policy agent (seconds once Kubernetes is built)"
    yield netpol(), partial(_build_own, "./netpol/agent"), agent
    yield netpol_cni(), partial(_build_own, "./netpol/cni"), "building the agent's plugin (seconds)"
    yield tunnel(), _build_tunnel, "building what makes tunnels (seconds)"
    store = "building the stand-in for the secrets store (seconds once Kubernetes is built)"
    yield secrets_store(), partial(_build_own, "./secretsstore"), store
    storage = f"building local-path-provisioner {PROVISIONER_VERSION} (about a minute)"
    yield provisioner(), _build_provisioner, storage
    yield pebble(), _build_pebble, f"building Pebble {PEBBLE_VERSION}, the tests' authority (half a minute)"
    gateway = f"building Versity's S3 gateway {VERSITYGW_VERSION}, the tests' store (two minutes)"
    yield versitygw(), _build_versitygw, gateway
    fetch = partial(ingress_controller.fetch, _traefik_requirement())
    yield traefik(), fetch, "fetching the ingress controller of localnets that ask for one (50 MB)"


def _build_kube(folder: Path) -> Path:
    major, minor, _ = KUBERNETES_VERSION.split(".")
    stamps = {"gitVersion": f"v{KUBERNETES_VERSION}", "gitMajor": major, "gitMinor": minor}
    flags = ["-s", "-w", *(f"-X {_VERSION_PACKAGE}.{name}={value}" for name, value in stamps.items())]
    target = folder / "kube"
    _go(
        ["build", "-trimpath", "-buildvcs=false", f"-ldflags={' '.join(flags)}", "-o", str(target), "."],
        _go_sources(),
        {"CGO_ENABLED": "0"},
    )
    return target


def _build_own(package: str, folder: Path, sources: Path | None = None) -> Path:
    target = folder / "program"
    flags = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", str(target)]
    _go(["build", *flags, package], sources or _go_sources(), {"CGO_ENABLED": "0"})
    return target


def _build_tunnel(folder: Path) -> Path:
    return _build_own(".", folder, checkout() / "deploy" / "tunnel")


def _build_provisioner(folder: Path) -> Path:
    return _install(f"{_PROVISIONER_MODULE}@{PROVISIONER_VERSION}", folder) / "local-path-provisioner"


def _build_pebble(folder: Path) -> Path:
    return _install(f"{_PEBBLE_MODULE}@{PEBBLE_VERSION}", folder) / "pebble"


def _build_versitygw(folder: Path) -> Path:
    return _install(f"{_VERSITYGW_MODULE}@{VERSITYGW_VERSION}", folder) / "versitygw"


def _install(module: str, folder: Path) -> Path:
    """A program of another repository, at a version that Go's checksum database knows."""
    _go(
        ["install", "-trimpath", "-ldflags=-s -w", module],
        folder,
        {"CGO_ENABLED": "0", "GOBIN": str(folder), "GOFLAGS": ""},
    )
    return folder


def _go(arguments: list[str], folder: Path, env: Mapping[str, str]) -> None:
    words = ["go", *arguments]
    done = subprocess.run(words, cwd=folder, env={**os.environ, **env}, check=False)  # noqa: S603
    if done.returncode != 0:
        raise TrustedPodsError(f"`go {arguments[0]}` ended with code {done.returncode}", where=str(folder))


def _publish(build: Callable[[Path], Path], target: Path) -> None:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=cache(), prefix="building-") as name:
        made = build(Path(name))
        made.chmod(0o755)
        made.replace(target)
    size = sum(path.stat().st_size for path in [target, *target.rglob("*")])
    _say(f"  {target} ({size / 1e6:.0f} MB, {time.monotonic() - began:.0f} s)")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    build_all()
