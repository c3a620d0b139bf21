# SPDX-License-Identifier: Apache-2.0
"""An authority that issues certificates for so many days by the simulated clock, or is away."""

import base64
import json
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.provider.acme.broken import Answer, BrokenAuthority, broken_authority, cuts, says

_SPAWN = multiprocessing.get_context("spawn")


class Switch:
    """What the authority knows of the simulated world, of whatever process that is: its time, and whether the
    authority is to answer.
    """

    def __init__(self) -> None:
        self._clock, self._away = _SPAWN.Value("d", 0.0), _SPAWN.Value("b", 0)

    def show(self, now: float) -> None:
        """What time it is in the world."""
        self._clock.value = now

    def now(self) -> float:
        """The time that was shown last."""
        return self._clock.value

    def away(self) -> None:
        """From now on every answer of the authority is cut."""
        self._away.value = 1

    def back(self) -> None:
        """It answers well."""
        self._away.value = 0

    def is_away(self) -> bool:
        """Whether it answers nobody."""
        return bool(self._away.value)


@dataclass
class Authority:
    """Answers over real https. `life_days` is how long its certificates are good; `issued` counts them."""

    served: BrokenAuthority
    life_days: float
    switch: Switch = field(default_factory=Switch)
    issued: int = 0
    _stage: str = "pending"
    _chain: bytes = b""

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.served.answers = {path: self._unless_away(answer) for path, answer in self._answers().items()}

    def _unless_away(self, well: Answer) -> Answer:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            (cuts if self.switch.is_away() else well)(handler)

        return answer

    def _answers(self) -> dict[str, Answer]:
        uses = ("newNonce", "newAccount", "newOrder", "revokeCert")
        directory = {use: f"{self.served.base}/{use}" for use in uses}
        return {
            "/directory": says(directory),
            "/newOrder": self._ordered,
            "/order": self._order,
            "/proof": self._proof,
            "/ready": self._ready,
            "/finalize": self._finalize,
            "/certificate": self._certificate,
            "/": self.served.well,
        }

    def _page(self) -> dict[str, object]:
        order = self.served.good("/order")
        assert isinstance(order, dict)
        made = {"certificate": f"{self.served.base}/certificate"} if self._stage == "valid" else {}
        return {**order, "status": self._stage, **made}

    def _ordered(self, handler) -> None:
        self._stage = "pending"
        says(self._page(), Location=f"{self.served.base}/order")(handler)

    def _order(self, handler) -> None:
        says(self._page())(handler)

    def _proof(self, handler) -> None:
        page = self.served.good("/proof")
        status = "pending" if self._stage == "pending" else "valid"
        says({**page, "status": status})(handler)  # type: ignore[dict-item]

    def _ready(self, handler) -> None:
        self._stage = "ready"
        self.served.well(handler)

    def _finalize(self, handler) -> None:
        csr = json.loads(_decoded(json.loads(handler.body)["payload"]))["csr"]
        self._chain = self._issue(x509.load_der_x509_csr(_decoded(csr)))
        self._stage, self.issued = "valid", self.issued + 1
        says(self._page(), Location=f"{self.served.base}/order")(handler)

    def _certificate(self, handler) -> None:
        handler.send_response(200)
        for name, value in (
            ("Content-Type", "application/pem-certificate-chain"),
            ("Content-Length", str(len(self._chain))),
            ("Replay-Nonce", "bm9uY2U"),
        ):
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(self._chain)

    def _issue(self, asked: x509.CertificateSigningRequest) -> bytes:
        now = datetime.fromtimestamp(self.switch.now(), UTC)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "simulated")])
        names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        leaf = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(asked.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=self.life_days))
            .add_extension(names, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return leaf.public_bytes(serialization.Encoding.PEM)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@contextmanager
def authority(folder: Path, names: tuple[str, ...]) -> Iterator[Authority]:
    """One for *names*; show it the simulated clock, and say the life of its certificates."""
    with broken_authority(folder) as served:
        served.names = names
        yield Authority(served, 90)
