# SPDX-License-Identifier: Apache-2.0
"""Questions and answers of the admin socket, one pair for each verb; JSON has their names in camelCase.

A question is taken strictly and whole: bounded, no unknown field. An answer is read leniently, so that a
command line still understands the next daemon. Money is in base units of the market's token.
"""

from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PlainSerializer,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.provider.core.disk import DiskState
from trustedpods.provider.core.pod import Phase

MAX_TARGET = 512
"""Characters: a host with its domain has at most 253, an address fewer."""

MAX_PODS_TOLD = 1_000_000
"""More than any daemon has: only that a number is one."""

MAX_REASON_SENT = 2048
"""Characters on the socket; what is left without doubled spaces is bounded by `eviction.MAX_REASON`."""


def _from_hex(value: object) -> object:
    return bytes.fromhex(value) if isinstance(value, str) else value


HexText = Annotated[bytes, BeforeValidator(_from_hex), PlainSerializer(bytes.hex)]
"""Bytes that are hex digits in JSON, without 0x."""


class View(BaseModel):
    """What goes over the admin socket, or is printed by a verb."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )

    def plain(self) -> dict[str, object]:
        """Ready for JSON; a field that was never given is left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class AdminRequest(View):
    """A question; `verb` says which."""

    model_config = ConfigDict(extra="forbid", strict=True)

    verb: str

    @model_validator(mode="wrap")
    @classmethod
    def _bad_input(cls, given: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """BadInput names the first field that is unknown or wrong: here and on the daemon's side alike."""
        try:
            return handler(given)
        except ValidationError as error:
            first = error.errors()[0]
            unknown = first["type"] == "extra_forbidden"
            field = ".".join(str(part) for part in first["loc"]) or None
            raise BadInput("no such field" if unknown else first["msg"], where=field) from None


class IdentityRequest(AdminRequest):
    """What does the daemon say of itself?"""

    verb: Literal["identity"] = "identity"


class DaemonIdentity(View):
    """What `register` writes into the registry row; `chip` is all zeros where no TEE names a machine."""

    profile: HexText
    endpoint: str
    meter: str
    tee: str
    chip: HexText


class StoreRequest(AdminRequest):
    """How is the disk of the books?"""

    verb: Literal["store"] = "store"


class StoreView(View):
    """State of the disk, MiB that are free, and why the last write failed (None: it did not)."""

    state: DiskState
    free_mib: int
    failure: str | None


class PodsRequest(AdminRequest):
    """Which pods are here? With `all` the ended ones too."""

    verb: Literal["pods"] = "pods"
    all: bool = False


class PodRow(View):
    """A pod in numbers: nothing of what is in it.

    `left` and `claimed` are base units in decimal, as JSON's numbers are too small; `why` says what keeps
    it from being as it was asked for. `services` says by name what each is exposed by, with the provider's
    port where it has one of its own.
    """

    label: str
    channel: str
    namespace: str
    phase: Phase
    scale: str | None
    replicas: int
    ready: int
    services: dict[str, str]
    left: str | None
    claimed: str
    runway_seconds: int | None
    why: str | None


class PodList(View):
    """Pods of the daemon."""

    pods: list[PodRow]


class ClaimRequest(AdminRequest):
    """Claim what is due: `prepare` does not send it yet, `withdraw` pays out what the owner is owed."""

    verb: Literal["claim"] = "claim"
    prepare: bool = False
    withdraw: bool = False


class Claimed(View):
    """What a claim did; `withdrawn` is base units in decimal, `transaction` hex with 0x."""

    items: int
    root: HexText | None
    transaction: str | None
    withdrawn: str


class EvictRequest(AdminRequest):
    """Send one pod away: `target` is its label, one of its hosts, or a replica's address."""

    verb: Literal["evict"] = "evict"
    target: str = Field(default="", max_length=MAX_TARGET)
    reason: str = Field(default="", max_length=MAX_REASON_SENT)
    deny: bool = False


MAX_DRAIN_HOURS = 366 * 24
"""A year: nobody plans further ahead."""


class DrainRequest(AdminRequest):
    """Take nobody in and send all away, at once or in so many `hours`; with `undo` take pods in again."""

    verb: Literal["drain"] = "drain"
    reason: str = Field(default="", max_length=MAX_REASON_SENT)
    undo: bool = False
    hours: int | None = Field(default=None, ge=1, le=MAX_DRAIN_HOURS)


class EvictedPod(View):
    """What became of a pod: its label, its phase now, and whether a claim was sent first."""

    label: str
    phase: Phase
    settled: bool


class Evicted(View):
    """The pods that were sent away."""

    pods: list[EvictedPod]


class OverviewRequest(AdminRequest):
    """What does the daemon do now? Of its pods *most* are told behind the first *skip*; None: all of them."""

    verb: Literal["overview"] = "overview"
    skip: int = Field(default=0, ge=0, le=MAX_PODS_TOLD)
    most: int | None = Field(default=None, ge=0, le=MAX_PODS_TOLD)


class PodSizeView(View):
    """One replica's CPU in thousandths of a core, its memory and its scratch space, and the pod's volumes."""

    cpu_milli: int
    memory_mib: int
    scratch_mib: int
    volume_mib: int


class BusyPod(PodRow):
    """A pod at work: requests in flight, requests ever counted by the proxy's boot `proxy`.

    `size` is what one replica takes; a daemon of before says nothing of it. `tcp` says by service which way
    new connections go, and why; it is empty where the operator lets HAProxy carry all.
    """

    in_flight: int
    requests: int | None
    proxy: str | None
    size: PodSizeView | None = None
    tcp: dict[str, str] = {}


class GasTodayView(View):
    """A UTC day's gas in wei, as text: spent by the receipts, and the operator's bound (None: there is none).

    `waiting` are claims of so many pods, and the registry row, that wait for the next day; `spent` is None
    when the books could not be read.
    """

    spent: str | None
    cap: str | None
    waiting: dict[str, int]


class Overview(View):
    """The daemon at one moment; `gas_wei` is -1 when the chain did not say.

    `certificate_days` are those until the end of the provider's own certificate; None without https. `total`
    pods stand; those that do not start or serve come first.
    """

    pods: list[BusyPod]
    replicas: int
    conversations: int
    free_slots: int
    spool_bytes: int
    spool_quota_bytes: int
    gas_wei: int
    gas_today: GasTodayView | None = None
    certificate_days: int | None = None
    total: int | None = None


class Registered(View):
    """The row that was written, and what it cost in gas."""

    owner: str
    daemon: int
    endpoint: str
    transaction: str
    gas: int


class Unregistered(View):
    """The transaction that took the row away, and what it cost in gas."""

    transaction: str
    gas: int


class PriceList(View):
    """Configured prices beside the registered ones (None: no row); `transaction` only if some were sent."""

    token: str
    configured: str
    registered: str | None
    transaction: str | None = None


class Failure(View):
    """An error as it goes over the socket; see `protocol.errors` for what each field says."""

    code: str
    what: str
    where: str | None = None
    hint: str | None = None
    rule: str | None = None


class _Named(BaseModel):
    """As much of a question as tells its verb."""

    verb: object = None


Q = TypeVar("Q", bound=AdminRequest)
R = TypeVar("R", bound=View)


def verb_of(line: bytes) -> object:
    """What *line* asks for, unchecked; BadInput when it is no JSON object."""
    try:
        return _Named.model_validate_json(line).verb
    except ValidationError:
        raise BadInput("not a question") from None


def read_request(model: type[Q], line: bytes) -> Q:
    """The question that *line* is; BadInput when it is none, or names its first wrong field."""
    try:
        return model.model_validate_json(line)
    except ValidationError:
        raise BadInput("not a question") from None


def read_answer(model: type[R], verb: str, answer: object) -> R:
    """The daemon's answer to *verb*; Refused (rule: the verb) when it is none."""
    try:
        return model.model_validate(answer)
    except ValidationError:
        raise Refused(f"the daemon's answer is no answer to `{verb}`", rule=verb) from None
