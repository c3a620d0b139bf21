# SPDX-License-Identifier: Apache-2.0
"""The keys that live in this machine's memory only, made once per boot.

They are kept in one file on a tmpfs, so that they survive a killed daemon and not a reboot. Their
public halves are what evidence binds. (A tmpfs can be swapped out: keep swap off.)
"""

import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from stat import S_IMODE, S_ISREG
from typing import Final, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trustedpods.protocol.errors import BadInput, LocalProtocolError
from trustedpods.protocol.evidence import KeyBinding
from trustedpods.protocol.ids import Address, address_bytes
from trustedpods.protocol.messages.provider import TrustClass
from trustedpods.protocol.sealing import hpke
from trustedpods.protocol.sealing.signatures import address_of
from trustedpods.protocol.whole_file import private_folder

FILE_NAME: Final = "boot-keys.json"
_MAX_FILE_BYTES: Final = 16 * 1024
_MOUNTS: Final = Path("/proc/self/mountinfo")
_SECP256K1_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@dataclass(frozen=True, slots=True, repr=False)
class BootKeys:
    """One boot's private keys. `boot_id` (32 bytes, public) names the boot.

    `libp2p_seed` is 32 bytes of Ed25519 seed, `meter` 32 bytes of Ethereum private key.
    """

    boot_id: bytes
    hpke: hpke.PrivateKey
    libp2p_seed: bytes
    reply: Ed25519PrivateKey
    meter: bytes
    tls: ec.EllipticCurvePrivateKey

    @classmethod
    def generate(cls) -> Self:
        """New random keys, kept nowhere yet."""
        scalar = secrets.randbelow(_SECP256K1_ORDER - 1) + 1
        return cls(
            boot_id=secrets.token_bytes(32),
            hpke=hpke.PrivateKey.generate(),
            libp2p_seed=secrets.token_bytes(32),
            reply=Ed25519PrivateKey.generate(),
            meter=scalar.to_bytes(32, "big"),
            tls=ec.generate_private_key(ec.SECP256R1()),
        )

    @property
    def meter_address(self) -> Address:
        """Whose signature makes a usage claim valid."""
        return address_of(self.meter)

    @property
    def tls_key_digest(self) -> bytes:
        """SHA-256 of the TLS key's SubjectPublicKeyInfo."""
        spki = self.tls.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return hashlib.sha256(spki).digest()

    def binding(self, trust: TrustClass, peer_id: bytes, config_digest: bytes) -> KeyBinding:
        """The public halves, for report_data; *peer_id* is that of the host made from the seed."""
        return KeyBinding(
            trust=trust,
            boot_id=self.boot_id,
            peer_id=peer_id,
            hpke_suite=hpke.SUITE_ID,
            hpke_key=self.hpke.public_bytes,
            reply_key=self.reply.public_key().public_bytes_raw(),
            meter=address_bytes(self.meter_address),
            tls_key_digest=self.tls_key_digest,
            config_digest=config_digest,
        )

    def to_json(self) -> bytes:
        """Every secret, as `from_json` reads it."""
        tls = self.tls.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        secret_parts = {
            "boot_id": self.boot_id,
            "hpke": self.hpke.to_bytes(),
            "libp2p_seed": self.libp2p_seed,
            "reply": self.reply.private_bytes_raw(),
            "meter": self.meter,
            "tls": tls,
        }
        return json.dumps({name: value.hex() for name, value in secret_parts.items()}).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """The keys that `to_json` wrote; ValueError, TypeError or KeyError when it is something else."""
        parts = {name: bytes.fromhex(value) for name, value in json.loads(raw).items()}
        tls = serialization.load_der_private_key(parts["tls"], password=None)
        if not isinstance(tls, ec.EllipticCurvePrivateKey):
            raise TypeError("the TLS key is of another kind")
        return cls(
            boot_id=parts["boot_id"],
            hpke=hpke.PrivateKey.from_bytes(parts["hpke"]),
            libp2p_seed=parts["libp2p_seed"],
            reply=Ed25519PrivateKey.from_private_bytes(parts["reply"]),
            meter=parts["meter"],
            tls=tls,
        )

    @classmethod
    def load_or_create(cls, directory: Path, *, require_tmpfs: bool = True) -> Self:
        """This boot's keys from *directory*, made there if this is the first start since boot.

        Two starts at once end up with the same keys, and a kill at any moment leaves all or none.
        BadInput when the directory is not on a tmpfs, belongs to somebody else, or holds a file
        that others can read or that is damaged. Without *require_tmpfs* they may lie on a disk: where
        nothing is sealed to them but questions.
        """
        path = directory / FILE_NAME
        try:
            private_folder(directory)
            _check_directory(directory, require_tmpfs=require_tmpfs)
            if not path.exists():
                _write_once(path, cls.generate().to_json())
            return cls.from_json(_read_private(path))
        except OSError as error:
            raise BadInput(f"cannot keep keys here: {error.strerror}", where=str(path)) from error
        except (ValueError, TypeError, KeyError, AttributeError, LocalProtocolError) as error:
            raise BadInput(
                f"the keys of this boot are damaged: {error}",
                where=str(path),
                hint="remove the file: pods then wait for their publishers, as after a reboot",
            ) from error


def filesystem_type(directory: Path, mounts: str) -> str:
    """Type of the file system that *directory* is on; *mounts* is the text of mountinfo."""
    device = directory.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.splitlines():
        fields, _, tail = line.partition(" - ")
        if fields.split()[2] == wanted:
            return tail.split()[0]
    return "unknown"


def _check_directory(directory: Path, *, require_tmpfs: bool) -> None:
    status = directory.stat()
    if status.st_uid != os.geteuid() or S_IMODE(status.st_mode) & 0o022:
        raise BadInput("others can write into the folder for keys", where=str(directory), hint="chmod 700")
    found = filesystem_type(directory, _MOUNTS.read_text()) if require_tmpfs else "tmpfs"
    if found != "tmpfs":
        raise BadInput(
            f"the folder for keys is on {found}, and keys must never reach a disk",
            where=str(directory),
            hint="use a folder under /run, or mount a tmpfs there",
        )


def _write_once(path: Path, content: bytes) -> None:
    """A file of mode 0600 that appears whole, or not at all, or was there before."""
    fd = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, content)
        # Any src_dir_fd makes Python call linkat, which follows /proc's link to the nameless file.
        os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=fd, follow_symlinks=True)
    except FileExistsError:
        pass
    finally:
        os.close(fd)


def _read_private(path: Path) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        private = S_ISREG(status.st_mode) and S_IMODE(status.st_mode) == 0o600
        if not private or status.st_uid != os.geteuid():
            raise BadInput("others can read this boot's keys", where=str(path), hint="remove the file")
        return file.read(_MAX_FILE_BYTES)
