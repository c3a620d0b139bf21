# SPDX-License-Identifier: Apache-2.0
"""How an image travels: from an archive to checked chunks on a provider's disk, beside a bare libp2p stream.

    python -m tests.bench.delivery [MiB] [rounds]

Publisher and provider are processes of their own on this machine; the provider is the real daemon over
fakes of chain and cluster, so importing into its registry is not part of it. Each round a new publisher
sends the same incompressible layer: the client reads, checks and seals it, the daemon opens, writes and syncs
it. "Bare" is that of `net_throughput`, in the same rounds. CPU seconds of both ends together are printed
too: they mean something on a busy machine. Then a deploy is sent again, and one is cut in the middle by
killing the daemon.
"""

import hashlib
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from tests.attacks.victim import Victim, victim_in
from tests.bench.net_throughput import send_bare, serve_bare, server
from tests.fakes.images.oci_images import ImageFiles
from tests.fakes.provider.caller import manifest_of
from tests.fakes.provider.world import config_of
from trustedpods.contracts.eip712 import address_of
from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol.attestation.policy.policy import Policy
from trustedpods.protocol.ids import PodRef
from trustedpods.protocol.limits import MIB
from trustedpods.protocol.messages.bundle import Bundle, Needs
from trustedpods.protocol.net import open_host
from trustedpods.protocol.sealing.blobs import chunk_count
from trustedpods.protocol.sealing.requests import ChainContext, publisher_secret
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.placement.offered import capabilities
from trustedpods.provider.doors import profile_of
from trustedpods.publisher.core.deploy import BlobFacts, ImageParts, bundle
from trustedpods.publisher.delivery.bundle import make_pieces
from trustedpods.publisher.delivery.upload import Piece, Traffic, plan, upload
from trustedpods.publisher.images.contents import layer_facts
from trustedpods.publisher.images.oci import Image
from trustedpods.publisher.images.source import open_image
from trustedpods.publisher.market.session import Publisher, Session, next_generation, open_session

ROOM_MIB = 64 * 1024


@dataclass
class Parcel:
    """A publisher with an image that is ready to be sent."""

    publisher: Publisher
    ref: PodRef
    bundle: Bundle
    pieces: dict[bytes, Piece]

    @property
    def chunks(self) -> int:
        """Of all blobs."""
        return sum(chunk_count(piece.ref.size) for piece in self.pieces.values())

    @property
    def size(self) -> int:
        """Plaintext bytes of all blobs."""
        return sum(piece.ref.size for piece in self.pieces.values())


def parcel_for(victim: Victim, image: Image) -> Parcel:
    """A new publisher, with nothing at the provider yet; it has read its layers before."""
    key, market, manifest = secrets.token_bytes(32), victim.world.chain.market, manifest_of()
    context = ChainContext(market.chain_id, market.payments)
    publisher = Publisher(address_of(key), key, publisher_secret(key), context)
    verified = {blob.digest: blob.verify() for blob in image.blobs}
    layers = layer_facts(image, victim.folder / "cache")
    facts = {
        "web": ImageParts(
            [BlobFacts(blob.digest, blob.size, blob.media_type) for blob in image.blobs],
            [(layer.digest, layers[layer.digest].unpacked) for layer in image.layers],
        )
    }
    made = bundle(manifest, {"keys": {"token": b"x"}}, {}, facts, publisher.secret, publisher.address)
    ref = publisher.ref(victim.world.owner, 1, "web")
    return Parcel(publisher, ref, made, make_pieces(verified, publisher))


@asynccontextmanager
async def session_of(victim: Victim, publisher: Publisher) -> AsyncIterator[Session]:
    """What a client has before it sends anything."""
    world = victim.world
    config = config_of(victim.folder, world.chain, world.owner)
    offered = capabilities(await world.cluster.features(), config.allowed)
    profile = profile_of(config, offered, simulated=False, addresses=[victim.address])
    row = RegistryRow(
        owner=world.owner,
        daemon=1,
        updated_at=UnixSeconds(int(world.now)),
        trust="open",
        region=config.identity.region,
        tee=[],
        chip_digest=bytes(32),
        token=world.chain.market.token,
        prices=config.prices,
        least=config.least,
        profile_digest=hashlib.sha256(profile).digest(),
        endpoint=victim.address,
    )
    policy = Policy(allow_open=True)
    async with open_host(None, []) as host, open_session(host, publisher, row, policy) as session:
        yield session


async def send(victim: Victim, parcel: Parcel, stop_at: int | None = None) -> tuple[Traffic, float]:
    """Hand the bundle in and send what is needed, in so many seconds; kill the daemon at *stop_at* bytes."""
    traffic, arrived, generation = Traffic(), 0, next_generation()
    async with session_of(victim, parcel.publisher) as session:
        provision = session.converse("provision", parcel.ref, parcel.bundle, generation)
        async with provision as conversation:
            needs = await conversation.reply(Needs)
            began = time.perf_counter()
            with trio.CancelScope() as scope:

                def progress(size: int) -> None:
                    nonlocal arrived
                    arrived += size
                    if stop_at is not None and arrived >= stop_at:
                        os.kill(victim.pid, 9)
                        scope.cancel()

                work = plan(needs.blobs, parcel.pieces)
                await upload(session, parcel.ref, generation, work, progress, traffic)
            return traffic, time.perf_counter() - began


def send_all(victim: Victim, parcel: Parcel) -> float:
    """All chunks of it, in MB/s."""
    traffic, seconds = trio.run(send, victim, parcel)
    assert traffic.sent_chunks == parcel.chunks
    return parcel.size / seconds / 1e6


@dataclass
class Way:
    """What was measured of one way to send: MB/s, and CPU seconds for a GB, of both ends together."""

    name: str
    there: int
    """The process at the other end."""
    speeds: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    def run(self, size: int, send_once: Callable[[], float]) -> None:
        """*send_once* gives MB/s."""
        before = cpu_seconds(os.getpid()) + cpu_seconds(self.there)
        self.speeds.append(send_once())
        spent = cpu_seconds(os.getpid()) + cpu_seconds(self.there) - before
        self.costs.append(spent / size * 1e9)

    def __str__(self) -> str:
        """One line."""
        speeds = ", ".join(f"{value:.0f}" for value in self.speeds)
        cost = statistics.median(self.costs)
        return (
            f"{self.name}: {statistics.median(self.speeds):.0f} MB/s ({speeds}), {cost:.1f} s of CPU for a GB"
        )


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(folder: Path, size: int, rounds: int) -> None:
    """Both kinds in turn; then the second deploy of the last round."""
    image = image_in(folder, size)
    bare_process, bare_address = server(serve_bare)
    assert bare_process.pid is not None
    bare = Way("bare libp2p stream", bare_process.pid)
    with victim_in(folder / "provider", spool_mib=ROOM_MIB) as victim:
        ours = Way("archive to provider's disk", victim.pid)
        for _ in range(rounds):
            parcel = parcel_for(victim, image)
            ours.run(size, lambda: send_all(victim, parcel))  # noqa: B023 - called at once
            bare.run(size, lambda: trio.run(send_bare, bare_address, size))
        again, _ = trio.run(send, victim, parcel)
    bare_process.kill()
    print(ours, bare, sep="\n")
    ratio = statistics.median(one / other for one, other in zip(ours.speeds, bare.speeds, strict=True))
    print(f"image / bare = {ratio:.2f}, median of the rounds ({size // MIB} MiB, {rounds} rounds; goal 0.7)")
    print(f"second deploy of the same image: {again.sent_chunks} of {parcel.chunks} chunks sent (goal 0)")


def interrupt(folder: Path, size: int) -> None:
    """Kill the daemon in the middle of an upload, start it again, and go on."""
    image = image_in(folder, size)
    try:
        with victim_in(folder / "provider", spool_mib=ROOM_MIB) as victim:
            parcel = parcel_for(victim, image)
            first, _ = trio.run(send, victim, parcel, size // 2)
    except AssertionError:  # it was killed, as it should be
        pass
    with victim_in(folder / "provider", victim, spool_mib=ROOM_MIB) as successor:
        second, _ = trio.run(send, successor, parcel)
    saved = parcel.chunks - second.sent_chunks
    print(
        f"daemon killed half-way: {first.sent_chunks} of {parcel.chunks} chunks were sent, {saved} were "
        f"on its disk and saved, {second.sent_chunks} were sent after the restart"
    )


def image_in(folder: Path, size: int) -> Image:
    """An image with one layer of so many random bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    ImageFiles(layers=(os.urandom(size),)).write_archive(folder / "image.tar")
    return open_image("oci-archive:image.tar", folder, folder / "cache")


def main() -> None:
    """Measure and print."""
    size = int(sys.argv[1]) * MIB if len(sys.argv) > 1 else 256 * MIB
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder) / "throughput", size, rounds)
        interrupt(Path(folder) / "resume", size)


if __name__ == "__main__":
    main()
