# SPDX-License-Identifier: Apache-2.0
"""What a pod holds crosses no wire in clear, and is in no file that the daemon writes.

The markers are in a secret file, in an environment value and in an uncompressed image layer. The
controls: the same search finds them where they must be, and the capture holds the whole upload.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.clients import web
from tests.live.clients.images import with_layer
from tests.live.clients.publisher import Deployed, Json, Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.capture import Flow, Marker, capture, flows, leaks

pytestmark = pytest.mark.live

PADDING = 2 * 1024 * 1024
PARTS = ("provider", "activator", "haproxy")
"""What the provider runs. The image registry and Kubernetes hold content: docs/threats.md."""


@dataclass(frozen=True)
class Watched:
    """A deploy of three markers, and the two captures that ran beside it."""

    deployed: Deployed
    secret: Marker
    env: Marker
    layer: Marker
    loopback: Path
    wire: Path

    @property
    def markers(self) -> list[Marker]:
        return [self.secret, self.env, self.layer]


def manifest(publisher: Publisher, name: str, env: Marker) -> Path:
    """Everything of it is served below /srv, so that a request can show it."""

    def change(spec: Json) -> None:
        (container,) = spec["containers"]
        container["image"] = f"oci-archive:{name}.tar"
        container["env"] = [{"name": "GREETING", "value": env.text}]
        container["volumeMounts"] = [{"name": "login", "mountPath": "/srv/secret", "readOnly": True}]
        spec["volumes"] = [{"name": "login", "secret": {"files": {"login.txt": f"{name}.txt"}}}]

    return publisher.manifest("hello", name, change)


@pytest.fixture(scope="module")
def watched(market: LiveLocalnet, publisher: Publisher, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """Deployed while tcpdump ran on loopback and on the link that leads to the node."""
    folder, name = tmp_path_factory.mktemp("captures"), unique("secrecy")
    secret, env, layer = (Marker.make(where) for where in ("secret", "env", "layer"))
    (publisher.folder / f"{name}.txt").write_text(secret.text)
    content = {"srv/marker.txt": layer.text.encode(), "srv/padding": bytes(PADDING)}
    with_layer("hello", content, publisher.folder / f"{name}.tar")
    file = manifest(publisher, name, env)
    node = market.cluster()
    with (
        capture("lo", folder / "lo.pcap") as loopback,
        capture(node.veth, folder / "node.pcap", node.node_ip) as wire,
    ):
        deployed = publisher.deploy(file)
    return Watched(deployed, secret, env, layer, loopback, wire)


def to_daemon(market: LiveLocalnet, path: Path) -> list[Flow]:
    """What was sent to the daemon's libp2p port."""
    return [flow for flow in flows(path) if flow.target[1] == market.cluster().ports.peer]


def test_no_marker_crossed_a_wire(market: LiveLocalnet, watched: Watched) -> None:
    assert sum(len(flow.data) for flow in to_daemon(market, watched.wire)) > PADDING
    for path in (watched.loopback, watched.wire):
        streams = flows(path)
        assert streams
        found = [leak for flow in streams for leak in leaks(flow.data, watched.markers)]
        assert found + leaks(path.read_bytes(), watched.markers) == []


def test_the_pod_has_every_marker_and_a_capture_of_plain_http_shows_them(
    watched: Watched, tmp_path: Path
) -> None:
    with capture("lo", tmp_path / "http.pcap") as path:
        url = watched.deployed.url
        shown = [web.get(url, page).text for page in ("/secret/login.txt", "/cgi-bin/whoami", "/marker.txt")]
    for marker, text in zip(watched.markers, shown, strict=True):
        assert marker.text in text
    seen = b"".join(flow.data for flow in flows(path))
    assert leaks(seen, watched.markers) == [f"{marker.text} as raw" for marker in watched.markers]


def test_no_marker_is_in_a_file_that_the_daemon_writes(market: LiveLocalnet, watched: Watched) -> None:
    pid, node = market.pid("k1/provider"), market.cluster()
    folders = [node.path(name) for name in ("provider", "keys", "facade")]
    logs = [log for part in PARTS for log in market.state.glob(f"log/k1-{part}.log*")]
    contents = {str(file): data for folder in folders for file, data in regular_files(folder)}
    contents |= {str(log): log.read_bytes() for log in logs}
    names = {Path(name).name for name in contents}
    assert {"store.db", "boot-keys.json", "k1-provider.log"} <= names
    assert sum(len(data) for name, data in contents.items() if name.endswith(".sealed")) > PADDING
    written = written_by(pid)
    for target in written:
        assert Path(target) in logs or any(Path(target).is_relative_to(folder) for folder in folders), target
    contents |= written
    assert {name: found for name, data in contents.items() if (found := leaks(data, watched.markers))} == {}


def test_what_holds_content_in_clear_is_what_the_documentation_says(
    market: LiveLocalnet, watched: Watched
) -> None:
    """The control of the search in files, and of the table in docs/threats.md."""

    def held(folder: str) -> set[str]:
        files = regular_files(market.cluster().path(folder))
        return {leak for _, data in files for leak in leaks(data, watched.markers)}

    assert held("registry") == {f"{watched.layer.text} as raw"}
    assert {f"{marker.text} as raw" for marker in (watched.secret, watched.env)} <= held("etcd")


def test_what_the_provider_keeps_is_its_users_alone(market: LiveLocalnet, watched: Watched) -> None:
    node = market.cluster()
    paths = [path for name in ("provider", "keys", "facade") for path in node.path(name).rglob("*")]
    assert {"store.db", "store.db-wal", "boot-keys.json", "runtime.sock"} <= {path.name for path in paths}
    assert [f"{path} {oct(mode)}" for path in paths if (mode := shared_mode(path))] == []


def shared_mode(path: Path) -> int | None:
    """The mode of what others than its user may open, read or list; None of what comes and goes meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        mode = stat.S_IMODE(path.lstat().st_mode)
        return mode if mode & 0o077 else None
    return None


def regular_files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file below *folder*, hidden ones too, with what is in it; some come and go meanwhile."""
    assert folder.is_dir()
    for top, _, names in os.walk(folder):
        for name in names:
            path = Path(top) / name
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISREG(path.lstat().st_mode):
                    yield path, path.read_bytes()


def written_by(pid: int) -> dict[str, bytes]:
    """Regular files that a process has open for writing just now: their paths and what is in them."""
    found = {}
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            opened = Path(f"/proc/{pid}/fdinfo/{handle.name}").read_text()
            flags = int(opened.split("flags:")[1].split()[0], 8)
            if flags & (os.O_WRONLY | os.O_RDWR) and stat.S_ISREG(handle.stat().st_mode):
                found[os.readlink(handle)] = handle.read_bytes()
    return found
