# SPDX-License-Identifier: Apache-2.0
"""The fields of a policy file: all of them mandatory, none of them unknown."""

from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from trustedpods.protocol import limits
from trustedpods.protocol.attestation.policy.localnets import NamedLocalnet
from trustedpods.protocol.attestation.policy.signers import ANY, BELOW, ImageSigner
from trustedpods.protocol.attestation.simulated import market_digest
from trustedpods.protocol.attestation.snp.policy import CHIP_ID_BYTES, Revocation, SnpEntry
from trustedpods.protocol.attestation.snp.report import PlatformInfo, Tcb
from trustedpods.protocol.attestation.tdx.policy import TcbStatus, TdxEntry
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import parse_address
from trustedpods.protocol.images.references import parse_reference
from trustedpods.protocol.images.signatures import parse_signer_key
from trustedpods.protocol.messages.provider import TrustClass

MAX_ITEMS: Final = 4096
"""Values in one list: more machines than a publisher has met."""


MAX_KEYS: Final = 16
"""Of one signer: the one in use, those before it, those of his colleagues."""

_ONE_BELOW: Final = "/x/x"
"""A repository that is below whatever it is put behind, also where a host alone is meant."""

VERSION: Final = 1
EVENT_LOG: Final = "eventlog"
NO_MINIMUM: Final = Tcb()


def _address(text: str) -> str:
    try:
        return parse_address(text)
    except BadInput as error:
        raise ValueError(error.what) from None


def _image_name(text: str) -> str:
    one = text.removesuffix(BELOW) + _ONE_BELOW if text.endswith(BELOW) else text
    try:
        found = parse_reference(f"{one}:any")
    except BadInput:
        raise ValueError("not HOST/REPOSITORY, nor HOST/* or HOST/FOLDER/* for all below it") from None
    full = f"{found.host}/{found.repository}"
    if full != one:
        raise ValueError(f"write it in full: {full.removesuffix(_ONE_BELOW)}{BELOW if one != text else ''}")
    return text


def _signer_key(text: str) -> str:
    try:
        parse_signer_key(text)
    except BadInput as error:
        raise ValueError(error.what) from None
    return text


def _never(value: bool) -> bool:
    if value:
        raise ValueError("cannot be accepted: it must be false")
    return value


def _unique(items: list[str]) -> list[str]:
    if len(set(items)) != len(items):
        raise ValueError("a value is there twice")
    return items


Hex8 = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Hex16 = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Hex48 = Annotated[str, Field(pattern=r"^[0-9a-f]{96}$")]
HexBytes = Annotated[str, Field(pattern=r"^([0-9a-f]{2})*$", max_length=8192)]
ChipId = Annotated[str, Field(pattern=r"^([0-9a-f]{16}|[0-9a-f]{128})$")]
"""64 bytes, or the 8 of a Turin."""

Any_ = Literal["any"]
Release_ = Literal["release"]
"""The values come from the newest release file of measurements (`attestation.releases`)."""

Market_ = Literal["market"]
"""The values come from the market's file."""

Never = Annotated[bool, AfterValidator(_never)]
Byte = Annotated[int, Field(ge=0, le=255)]
ListBounds = Field(min_length=1, max_length=MAX_ITEMS)
AddressText = Annotated[str, AfterValidator(_address)]
SignedImages = Annotated[str, Field(max_length=512), AfterValidator(_image_name)]
SignerPem = Annotated[str, Field(max_length=4096), AfterValidator(_signer_key)]


LISTED: Final = "listed"
"""What pydantic calls a list in the place of errors, where a word may be in its place."""

Measurements = Annotated[
    Annotated[list[Hex48], ListBounds, AfterValidator(_unique), Tag(LISTED)]
    | Annotated[Release_, Tag("word")],
    Discriminator(lambda value: "word" if value == "release" else LISTED),
]

SimulatedMeasurements = Annotated[
    Annotated[list[Hex48], ListBounds, AfterValidator(_unique), Tag(LISTED)]
    | Annotated[Market_, Tag("word")],
    Discriminator(lambda value: "word" if value == "market" else LISTED),
]

ConfigDigests = Annotated[
    Annotated[list[Hex32], ListBounds, AfterValidator(_unique), Tag(LISTED)] | Annotated[Any_, Tag("word")],
    Discriminator(lambda value: "word" if value == "any" else LISTED),
]


class Table(BaseModel):
    """Base of every table of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class TcbModel(Table):
    """Least firmware versions; `fmc` is for Turin, and only for it."""

    bl: Byte
    tee: Byte
    snp: Byte
    ucode: Byte
    fmc: Byte | None = None

    @property
    def tcb(self) -> Tcb:
        """What it means."""
        return Tcb(self.bl, self.tee, self.snp, self.ucode, self.fmc or 0)


class GuestPolicyModel(Table):
    """What the host may have been allowed at launch; debugging and copying never."""

    debug: Never
    migrate_ma: Never
    smt: bool
    single_socket: bool


class SnpModel(Table):
    """`[[snp]]`: one kind of SEV-SNP machine."""

    product: Literal["Milan", "Genoa", "Turin"]
    measurements: Measurements
    min_tcb: TcbModel
    min_guest_svn: Annotated[int, Field(ge=0, lt=1 << 32)]
    guest_policy: GuestPolicyModel
    platform_require: (
        Annotated[
            list[Literal["ecc", "tsme", "rapl_disabled", "ciphertext_hiding", "alias_check_complete"]],
            ListBounds,
        ]
        | Literal["none"]
    )
    vmpl: Annotated[list[Annotated[int, Field(ge=0, le=3)]], ListBounds]
    host_data: Annotated[list[Hex32], ListBounds, AfterValidator(_unique)] | Any_
    allow_vlek: bool
    allowed_chip_ids: Annotated[list[ChipId], ListBounds, AfterValidator(_unique)] | Any_
    revocation: Revocation

    @model_validator(mode="after")
    def _turin_has_fmc(self) -> Self:
        if (self.product == "Turin") != (self.min_tcb.fmc is not None):
            raise ValueError("min_tcb.fmc is there for Turin, and only for Turin")
        return self

    def entry(self, measurements: frozenset[bytes], least: Tcb = NO_MINIMUM, image: str = "") -> SnpEntry:
        """What it means with these launch digests; firmware must reach both its own minimum and *least*."""
        required = PlatformInfo(0)
        for name in () if self.platform_require == "none" else self.platform_require:
            required |= PlatformInfo[name.upper()]
        return SnpEntry(
            product=self.product,
            measurements=measurements,
            minimum=self.min_tcb.tcb.highest(least),
            vmpl=frozenset(self.vmpl),
            allow_smt=self.guest_policy.smt,
            require_single_socket=self.guest_policy.single_socket,
            allow_vlek=self.allow_vlek,
            min_guest_svn=self.min_guest_svn,
            platform_require=required,
            revocation=self.revocation,
            host_data=None if self.host_data == "any" else _bytes(self.host_data),
            allowed_chip_ids=None if self.allowed_chip_ids == "any" else _chips(self.allowed_chip_ids),
            image=image,
        )


class TdxModel(Table):
    """`[[tdx]]`: one kind of TDX machine."""

    mrtd: Measurements
    rtmr: Annotated[list[Hex48 | Literal["eventlog", "any", "release"]], Field(min_length=4, max_length=4)]
    event_log: (
        Annotated[dict[str, Annotated[list[HexBytes], ListBounds] | Any_], Field(min_length=1)]
        | Literal["none"]
    )
    mr_seam: Annotated[list[Hex48], ListBounds, AfterValidator(_unique)] | Any_
    mr_config_id: Annotated[list[Hex48], ListBounds, AfterValidator(_unique)] | Any_
    td_attributes: Hex8
    xfam: Annotated[list[Hex8], ListBounds, AfterValidator(_unique)]
    min_tee_tcb_svn: Hex16
    tcb_status: Annotated[list[TcbStatus], ListBounds]
    reject_advisories: Annotated[list[str], ListBounds, AfterValidator(_unique)] | Literal["none"]
    min_tcb_eval_data_number: Annotated[int, Field(ge=1, lt=1 << 32)]
    allowed_piids: Annotated[list[Hex16], ListBounds, AfterValidator(_unique)] | Any_

    @model_validator(mode="after")
    def _registers_of_one_source(self) -> Self:
        """RTMR0 is the host's: it may be anything only where the image is known to distrust the host."""
        if self.mrtd == "release":
            if self.rtmr[1:3] != ["release", "release"] or self.rtmr[0] in ("release", EVENT_LOG):
                raise ValueError('with mrtd = "release" rtmr is ["any", "release", "release", RTMR3]')
        elif {"any", "release"} & {*self.rtmr}:
            raise ValueError('rtmr has "any" and "release" only with mrtd = "release"')
        if self.rtmr[3] in ("any", "release"):
            raise ValueError("RTMR3 is 96 hex, or left to the event log")
        return self

    def entry(
        self,
        mrtd: frozenset[bytes],
        registers: tuple[bytes | None, ...],
        least: bytes = b"",
        image: str = "",
    ) -> TdxEntry:
        """What it means with this MRTD and these *registers*; firmware must reach *least* too."""
        own = bytes.fromhex(self.min_tee_tcb_svn)
        events = () if self.event_log == "none" else tuple(self.event_log.items())
        return TdxEntry(
            mrtd=mrtd,
            rtmr=registers,
            td_attributes=bytes.fromhex(self.td_attributes),
            xfam=_bytes(self.xfam),
            min_tee_tcb_svn=bytes(map(max, own, least)) if least else own,
            min_tcb_eval_data_number=self.min_tcb_eval_data_number,
            tcb_status=frozenset(self.tcb_status),
            events=tuple((name, None if values == "any" else _bytes(values)) for name, values in events),
            reject_advisories=frozenset(() if self.reject_advisories == "none" else self.reject_advisories),
            mr_seam=None if self.mr_seam == "any" else _bytes(self.mr_seam),
            mr_config_id=None if self.mr_config_id == "any" else _bytes(self.mr_config_id),
            allowed_piids=None if self.allowed_piids == "any" else _bytes(self.allowed_piids),
            image=image,
        )


class SimulatedModel(Table):
    """`[[simulated]]`: a localnet whose simulated machines count; its root is in its market file."""

    chain_id: Annotated[int, Field(ge=1, lt=1 << 64)]
    registry: AddressText
    payments: AddressText
    measurements: SimulatedMeasurements

    def localnet(self) -> NamedLocalnet:
        """The table as the policy has it: the market as the names in its certificates have it."""
        digest = market_digest(self.chain_id, parse_address(self.registry), parse_address(self.payments))
        return NamedLocalnet(digest, None if self.measurements == "market" else _bytes(self.measurements))


class ImageSignerModel(Table):
    """`[[image_signers]]`: one who signs images with a key of his own."""

    name: Annotated[str, Field(pattern=r"^[ -~]{1,64}$")]
    images: Annotated[list[SignedImages], ListBounds, AfterValidator(_unique)] | Any_
    keys: Annotated[list[SignerPem], Field(min_length=1, max_length=MAX_KEYS), AfterValidator(_unique)]

    def signer(self) -> ImageSigner:
        """The table as the policy has it."""
        images = (ANY,) if self.images == ANY else tuple(self.images)
        return ImageSigner(self.name, images, tuple(map(parse_signer_key, self.keys)))


class PolicyFile(Table):
    """The whole file."""

    version: Annotated[int, Field(ge=VERSION, le=VERSION)]
    trust: Annotated[list[TrustClass], Field(min_length=1), AfterValidator(_unique)]
    accept: Annotated[
        list[Literal["sev-snp", "tdx", "simulated", "none"]], Field(min_length=1), AfterValidator(_unique)
    ]
    max_evidence_bytes: Annotated[int, Field(ge=1024, le=limits.MAX_EVIDENCE)]
    config_digests: ConfigDigests
    min_release: Annotated[int, Field(ge=1, lt=1 << 32)] | None = None
    snp: Annotated[list[SnpModel], Field(max_length=MAX_ITEMS)] = []
    tdx: Annotated[list[TdxModel], Field(max_length=MAX_ITEMS)] = []
    simulated: Annotated[list[SimulatedModel], Field(max_length=MAX_ITEMS)] = []
    image_signers: Annotated[list[ImageSignerModel], Field(max_length=MAX_ITEMS)] = []

    @model_validator(mode="after")
    def _accepted_is_described(self) -> Self:
        for kind, tables in (("sev-snp", self.snp), ("tdx", self.tdx), ("simulated", self.simulated)):
            table = kind.removeprefix("sev-")
            if (kind in self.accept) != bool(tables):
                raise ValueError(f"accept has {kind!r} exactly when there is a [[{table}]]")
        if "none" in self.accept and "open" not in self.trust:
            raise ValueError('accept has "none" (no hardware), which only class open can be: trust lacks it')
        return self

    @model_validator(mode="after")
    def _release_has_a_minimum(self) -> Self:
        values = (*(one.measurements for one in self.snp), *(one.mrtd for one in self.tdx))
        if ("release" in values) != (self.min_release is not None):
            raise ValueError('min_release is there exactly where a table takes its values from a "release"')
        return self


def digests(values: list[str] | Any_) -> frozenset[bytes] | None:
    """What a list of digests means; None where any will do."""
    return None if values == "any" else _bytes(values)


def _bytes(values: list[str]) -> frozenset[bytes]:
    return frozenset(map(bytes.fromhex, values))


def _chips(values: list[str]) -> frozenset[bytes]:
    return frozenset(bytes.fromhex(value).ljust(CHIP_ID_BYTES, b"\0") for value in values)
