# SPDX-License-Identifier: Apache-2.0
"""A throw-away Intel, to make correctly signed quotes and collateral of every bad kind."""

import hashlib
import json
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from trustedpods.protocol.attestation.tdx.policy import TdxEntry

NOW = datetime(2026, 1, 6, tzinfo=UTC)
ISSUED = NOW - timedelta(days=5)
EXPIRY = NOW + timedelta(days=25)
DAY = timedelta(days=1)

QE_VENDOR = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
QE_SIGNER = bytes.fromhex("dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5")
FMSPC = bytes.fromhex("90c06f000000")
PIID = b"\x5a" * 16
MRTD = b"\x11" * 48
RTMRS = (b"\x20" * 48, b"\x21" * 48, b"\x22" * 48, b"\x23" * 48)
XFAM = bytes.fromhex("e702060000000000")
ATTRIBUTES = bytes.fromhex("0000001000000000")
SVN = bytes([6, 1, 3]) + bytes(13)

ENTRY = TdxEntry(
    mrtd=frozenset({MRTD}),
    rtmr=RTMRS,
    td_attributes=ATTRIBUTES,
    xfam=frozenset({XFAM}),
    min_tee_tcb_svn=bytes([5, 1, 2]) + bytes(13),
    min_tcb_eval_data_number=18,
)

_SGX = "1.2.840.113741.1.13.1"
_ROOT, _CA, _SIGNER = "Test SGX Root CA", "Intel SGX PCK Platform CA", "Test SGX TCB Signing"
_CA_SERIAL, _PCK_SERIAL, _SIGNER_SERIAL = 2, 77, 3


@dataclass(frozen=True)
class Body:
    """The signed body of a quote; `mr_service_td` and `tee_tcb_svn2` are of TD 1.5."""

    report_data: bytes = bytes(64)
    attributes: bytes = ATTRIBUTES
    xfam: bytes = XFAM
    mrtd: bytes = MRTD
    rtmr: tuple[bytes, ...] = RTMRS
    tee_tcb_svn: bytes = SVN
    mr_seam: bytes = b"\x33" * 48
    mr_signer_seam: bytes = bytes(48)
    seam_attributes: bytes = bytes(8)
    mr_config_id: bytes = bytes(48)
    tee_tcb_svn2: bytes = SVN
    mr_service_td: bytes = bytes(48)
    version: int = 4
    tee_type: int = 0x81
    key_type: int = 2
    vendor: bytes = QE_VENDOR

    def pack(self) -> bytes:
        body = self.tee_tcb_svn + self.mr_seam + self.mr_signer_seam + self.seam_attributes
        body += self.attributes + self.xfam + self.mrtd + self.mr_config_id + bytes(96)
        body += b"".join(self.rtmr) + self.report_data
        header = struct.pack("<HHIHH", self.version, self.key_type, self.tee_type, 0, 0)
        header += self.vendor + bytes(20)
        if self.version == 4:
            return header + body
        body += self.tee_tcb_svn2 + self.mr_service_td
        return header + struct.pack("<HI", 3, len(body)) + body


@dataclass(frozen=True)
class Platform:
    """What the processor's certificate says, and the enclave that signs."""

    cpu_svn: tuple[int, ...] = (3,) * 16
    pce_svn: int = 13
    piid: bytes = PIID
    qe_svn: int = 6
    qe_signer: bytes = QE_SIGNER
    qe_product: int = 2
    pck_expiry: datetime = NOW + 900 * DAY
    pck_start: datetime = NOW - 300 * DAY


@dataclass(frozen=True)
class Level:
    """One of Intel's levels: least versions, and its word on them."""

    status: str = "UpToDate"
    cpu_svn: int = 2
    pce_svn: int = 11
    tdx: bytes = bytes([5, 0, 2]) + bytes(13)
    advisories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Collateral:
    """Intel's statements."""

    levels: tuple[Level, ...] = (Level(), Level("OutOfDate", 1, 5, bytes(16)))
    fmspc: bytes = FMSPC
    evaluation: int = 20
    qe_evaluation: int = 20
    qe_status: str = "UpToDate"
    tcb_issued: datetime = ISSUED
    tcb_expiry: datetime = EXPIRY
    qe_expiry: datetime = EXPIRY
    crl_expiry: datetime = EXPIRY
    revoked: tuple[int, ...] = ()
    root_revoked: tuple[int, ...] = ()
    changed: dict[str, str] = field(default_factory=dict)


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


def _oid(dotted: str) -> bytes:
    numbers = list(map(int, dotted.split(".")))
    encoded = bytes([numbers[0] * 40 + numbers[1]])
    for number in numbers[2:]:
        groups = [number & 127]
        while number := number >> 7:
            groups.append(128 | number & 127)
        encoded += bytes(reversed(groups))
    return _der(6, encoded)


def _pair(suffix: str, value: bytes) -> bytes:
    return _der(0x30, _oid(f"{_SGX}.{suffix}") + value)


def _integer(number: int) -> bytes:
    return _der(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _sgx_extension(platform: Platform) -> bytes:
    components = [_pair(f"2.{at + 1}", _integer(svn)) for at, svn in enumerate(platform.cpu_svn)]
    components += [_pair("2.17", _integer(platform.pce_svn)), _pair("2.18", _der(4, bytes(platform.cpu_svn)))]
    flags = b"".join(_pair(f"7.{number}", _der(1, b"\0")) for number in (1, 2, 3))
    parts = [
        _pair("1", _der(4, bytes(16))),
        _pair("2", _der(0x30, b"".join(components))),
        _pair("3", _der(4, bytes(2))),
        _pair("4", _der(4, FMSPC)),
        _pair("5", _der(10, b"\1")),
        _pair("7", _der(0x30, flags)),
    ]
    if platform.piid:
        parts.insert(5, _pair("6", _der(4, platform.piid)))
    return _der(0x30, b"".join(parts))


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def _pem(*certificates: x509.Certificate) -> str:
    return "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in certificates)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _compact(tree: object) -> str:
    return json.dumps(tree, separators=(",", ":"))


class Intel:
    """Root, issuer of processors' certificates, signer of statements; another instance is a stranger."""

    def __init__(self) -> None:
        names = ("root", "ca", "pck", "tcb", "attestation")
        self.keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in names}
        self.root = self._certify("root", _ROOT, "root", _ROOT, 1, ca=True)
        self.ca = self._certify("ca", _CA, "root", _ROOT, _CA_SERIAL, ca=True)
        self.tcb = self._certify("tcb", _SIGNER, "root", _ROOT, _SIGNER_SERIAL)
        self.root_der = self.root.public_bytes(serialization.Encoding.DER)

    def _certify(
        self, key: str, subject: str, issuer_key: str, issuer: str, serial: int, **more: Any
    ) -> x509.Certificate:
        ca = more.get("ca", False)
        usage = x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False)
        builder = (
            x509.CertificateBuilder(_name(issuer), _name(subject), self.keys[key].public_key(), serial)
            .not_valid_before(more.get("start", NOW - 300 * DAY))
            .not_valid_after(more.get("expiry", NOW + 3000 * DAY))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(usage, critical=True)
        )
        if "sgx" in more:
            extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(_SGX), more["sgx"])
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.keys[issuer_key], hashes.SHA256())

    def _crl(self, key: str, issuer: str, revoked: tuple[int, ...], expiry: datetime) -> str:
        builder = x509.CertificateRevocationListBuilder(_name(issuer), ISSUED, expiry)
        builder = builder.add_extension(x509.CRLNumber(1), critical=False)
        for serial in revoked:
            entry = x509.RevokedCertificateBuilder(serial, ISSUED).build()
            builder = builder.add_revoked_certificate(entry)
        listed = builder.sign(self.keys[key], hashes.SHA256())
        return listed.public_bytes(serialization.Encoding.DER).hex()

    def _sign(self, key: str, message: bytes) -> bytes:
        r, s = utils.decode_dss_signature(self.keys[key].sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def quote(self, body: Body | None = None, platform: Platform | None = None) -> bytes:
        """A correctly signed quote."""
        platform = platform or Platform()
        signed = (body or Body()).pack()
        pck = self._certify(
            "pck",
            "Intel SGX PCK Certificate",
            "ca",
            _CA,
            _PCK_SERIAL,
            sgx=_sgx_extension(platform),
            start=platform.pck_start,
            expiry=platform.pck_expiry,
        )
        chain = _pem(pck, self.ca, self.root).encode()
        point = self.keys["attestation"].public_key().public_numbers()
        key = point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")
        authentication = bytes(32)
        bound = hashlib.sha256(key + authentication).digest() + bytes(32)
        enclave = bytes(48) + b"\x11" + bytes(15) + bytes(64) + platform.qe_signer + bytes(96)
        enclave += struct.pack("<HH", platform.qe_product, platform.qe_svn) + bytes(60) + bound
        inner = enclave + self._sign("pck", enclave) + struct.pack("<H", 32) + authentication
        inner += struct.pack("<HI", 5, len(chain)) + chain
        outer = self._sign("attestation", signed) + key + struct.pack("<HI", 6, len(inner)) + inner
        return signed + struct.pack("<I", len(outer)) + outer

    def collateral(self, told: Collateral | None = None) -> bytes:
        """Intel's statements, as its service answers them."""
        told = told or Collateral()
        tcb_info, qe_identity = _tcb_info(told), _qe_identity(told)
        statements = {
            "pck_crl_issuer_chain": _pem(self.ca, self.root),
            "root_ca_crl": self._crl("root", _ROOT, told.root_revoked, told.crl_expiry),
            "pck_crl": self._crl("ca", _CA, told.revoked, told.crl_expiry),
            "tcb_info_issuer_chain": _pem(self.tcb, self.root),
            "tcb_info": tcb_info,
            "tcb_info_signature": self._sign("tcb", tcb_info.encode()).hex(),
            "qe_identity_issuer_chain": _pem(self.tcb, self.root),
            "qe_identity": qe_identity,
            "qe_identity_signature": self._sign("tcb", qe_identity.encode()).hex(),
        }
        return json.dumps(statements | told.changed).encode()


def _tcb_info(told: Collateral) -> str:
    zeros = {"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "FF" * 8}
    current = {"tcb": {"isvsvn": 2}, "tcbDate": _time(ISSUED), "tcbStatus": "UpToDate"}
    levels = [
        {
            "tcb": {
                "sgxtcbcomponents": [{"svn": level.cpu_svn}] * 16,
                "pcesvn": level.pce_svn,
                "tdxtcbcomponents": [{"svn": svn} for svn in level.tdx],
            },
            "tcbDate": _time(ISSUED),
            "tcbStatus": level.status,
            "advisoryIDs": list(level.advisories),
        }
        for level in told.levels
    ]
    return _compact(
        {
            "id": "TDX",
            "version": 3,
            "issueDate": _time(told.tcb_issued),
            "nextUpdate": _time(told.tcb_expiry),
            "fmspc": told.fmspc.hex().upper(),
            "pceId": "0000",
            "tcbType": 0,
            "tcbEvaluationDataNumber": told.evaluation,
            "tdxModule": zeros,
            "tdxModuleIdentities": [{"id": "TDX_01", **zeros, "tcbLevels": [current]}],
            "tcbLevels": levels,
        }
    )


def _qe_identity(told: Collateral) -> str:
    return _compact(
        {
            "id": "TD_QE",
            "version": 2,
            "issueDate": _time(ISSUED),
            "nextUpdate": _time(told.qe_expiry),
            "tcbEvaluationDataNumber": told.qe_evaluation,
            "miscselect": "00000000",
            "miscselectMask": "FFFFFFFF",
            "attributes": "11" + "00" * 15,
            "attributesMask": "FB" + "FF" * 7 + "00" * 8,
            "mrsigner": QE_SIGNER.hex().upper(),
            "isvprodid": 2,
            "tcbLevels": [{"tcb": {"isvsvn": 4}, "tcbDate": _time(ISSUED), "tcbStatus": told.qe_status}],
        }
    )
