# SPDX-License-Identifier: Apache-2.0
"""What outlives a container, or comes with it."""

from typing import Annotated, Final, Literal, Self, get_args

from pydantic import Field, model_validator

from trustedpods.manifests.spec.csi.volume import CsiVolume
from trustedpods.manifests.spec.part import DnsLabel, FileName, HostName, ManifestPart, Spelling
from trustedpods.manifests.spec.quantity import MiB

MAX_SECRET_FILES = 64
"""Files of one secret: more is a volume's worth."""

MIN_GENERATED = 8
MAX_GENERATED = 1024
"""Of what is generated: shorter is guessed, and longer than this is no key."""


USUAL_LENGTH = 32
"""Of a password 190 bits, and the bytes of every kind of key."""

MAX_RENEWAL = 1_000_000
"""Times that one value is made anew: a new one each hour lasts for a century."""


class EmptyDir(ManifestPart):
    """Scratch space that goes with the pod."""

    size_limit: MiB = 64


class Persistent(ManifestPart):
    """A volume that outlives the pod's processes and its being at zero; billed while it exists.

    `accessMode` is who may mount it at once: the replicas on one node, one replica alone, or all replicas,
    wherever they run. With `retain` it outlives a `delete` too; without a word it does where the workload is
    stateful. Where `neverRestore` is true its files must not go back in time, as the last height that a
    validator signed must not: no backup takes it, and none fills it.
    """

    size: MiB
    access_mode: Literal["ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany"] = "ReadWriteOnce"
    storage_class_name: DnsLabel | None = None
    retain: bool | None = None
    never_restore: bool = False


_Directory = Annotated[str, Spelling(r"[^\x00]{1,1024}", "the path of a directory beside the manifest")]


KeyType = Literal["ed25519", "p256", "secp256k1", "x25519"]
KEY_TYPES: Final = frozenset(get_args(KeyType))
"""Of what is generated: pairs of keys, of which the file is the private one."""

MAX_CERTIFICATES: Final = 8
"""Of one key: a node has a name in its own network, and one for each way in which other owners call him."""


class Generated(ManifestPart):
    """A value that is made at random inside the provider when the pod first starts, and kept.

    `password` is of letters and digits (5.9 bits each), `hex` of digits 0-9a-f (4 bits each); `length` counts
    characters, of `bytes` bytes. `ed25519`, `p256`, `secp256k1` and `x25519` are private keys of 32 bytes: as
    `hex` digits, `base64`, or `pem` (PKCS 8). The public half of the one with `identity` is told to whoever
    deployed the pod, and is what other nodes of its network know it by. A value that was kept for a lower
    `renewal` is made anew, and no other is. `certificates` are files with a certificate for TLS each, by the
    name for which it stands: a `p256` key with `identity` signs them, and they are renewed before they end.
    """

    type: Literal["password", "hex", "bytes"] | KeyType = "password"
    length: Annotated[int, Field(ge=MIN_GENERATED, le=MAX_GENERATED)] = USUAL_LENGTH
    encoding: Literal["hex", "base64", "pem"] = "hex"
    identity: bool = False
    renewal: Annotated[int, Field(ge=0, le=MAX_RENEWAL)] = 0
    certificates: Annotated[dict[FileName, HostName], Field(max_length=MAX_CERTIFICATES)] = {}

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        said = {"length": self.length != USUAL_LENGTH}
        if self.type not in KEY_TYPES:
            said = {"encoding": self.encoding != "hex", "identity": self.identity}
        if wrong := [name for name, other in said.items() if other]:
            raise ValueError(f"`{wrong[0]}` is not said of {self.type}")
        if self.certificates and not (self.type == "p256" and self.identity):
            raise ValueError("`certificates` are of a key with `type: p256` and `identity: true`")
        return self


class SecretSource(ManifestPart):
    """Files of the publisher, sealed into the bundle, and values made inside the provider.

    Paths are relative to the manifest. `directory` stands for all files that lie in it: whoever loads the
    manifest writes them into `files`. Those that are `rendered` may refer to other nodes of the pod's network
    (`manifests/rendering.py`). When what a file says then changes, or a certificate is renewed, the pod's
    replicas restart one after another; with `onChange: reload` the files are replaced below them, and the
    program sees to the rest.
    """

    files: Annotated[dict[FileName, str], Field(max_length=MAX_SECRET_FILES)] = {}
    directory: _Directory | None = None
    generate: Annotated[dict[FileName, Generated], Field(max_length=MAX_SECRET_FILES)] = {}
    rendered: Annotated[list[FileName], Field(max_length=MAX_SECRET_FILES)] = []
    on_change: Literal["restart", "reload"] = "restart"

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.files and self.directory is not None:
            raise ValueError("give either files or a directory")
        if not self.files and not self.generate and self.directory is None:
            raise ValueError("give files, a directory, or what to generate")
        if twice := self.files.keys() & set(self.made):
            raise ValueError(f"{min(twice)!r} is both a file and generated")
        if len(set(self.made)) != len(self.made):
            raise ValueError("a certificate is called as another one, or as a key")
        if self.on_change == "reload" and not self.changing:
            raise ValueError(
                "onChange is of certificates, and of files that are rendered: list them in `rendered`"
            )
        return self

    @property
    def certificates(self) -> list[str]:
        """Names of the files with certificates."""
        return [file for one in self.generate.values() for file in one.certificates]

    @property
    def made(self) -> list[str]:
        """Names of what is made inside the provider."""
        return [*self.generate, *self.certificates]

    @property
    def changing(self) -> list[str]:
        """Names of files that may become others while the pod runs, and nobody changes the pod."""
        return [*self.rendered, *self.certificates]

    @property
    def keys(self) -> list[str]:
        """Names of all that is in it."""
        return [*self.files, *self.made]


ORDINAL_MARK = "{ordinal}"
"""In the path of a seed: the number of the replica whose folder it is."""


class Seed(ManifestPart):
    """What a new volume begins with: files of the publisher, sealed into the bundle, or a backup.

    `directory` is relative to the manifest, with all that is below it; with `{ordinal}` in it each replica
    of `workload: stateful` has a directory of its own. With `backup: true` the replica waits before its first
    container for what `trustedpods restore` brings.
    """

    directory: _Directory | None = None
    backup: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.directory is None) == (not self.backup):
            raise ValueError("give either a directory or `backup: true`")
        return self

    @property
    def by_ordinal(self) -> bool:
        """Whether each replica has its own directory."""
        return self.directory is not None and ORDINAL_MARK in self.directory


class Volume(ManifestPart):
    """A volume of the pod: exactly one kind. `seed` is what a persistent one begins with."""

    name: DnsLabel
    empty_dir: EmptyDir | None = None
    persistent: Persistent | None = None
    secret: SecretSource | None = None
    csi: CsiVolume | None = None
    seed: Seed | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if [self.empty_dir, self.persistent, self.secret, self.csi].count(None) != 3:
            raise ValueError("give exactly one of emptyDir, persistent, secret, csi")
        if self.seed is not None and self.persistent is None:
            raise ValueError("a seed fills a persistent volume: others are made anew with each replica")
        return self
