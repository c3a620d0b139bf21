# SPDX-License-Identifier: Apache-2.0
"""An authority that issues certificates for so many days by the simulated clock, or is away."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.provider.acme.broken import BrokenAuthority, broken_authority, cuts, says


@dataclass
class Authority:
    """Answers over real https. `life_days` is how long its certificates are good; `issued` counts them."""

    served: BrokenAuthority
    clock: Callable[[], float]
    life_days: float
    issued: int = 0
    _stage: str = "pending"
    _chain: bytes = b""

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.back()

    def away(self) -> None:
        """From now on every answer is cut."""
        self.served.answers = {"/": cuts}

    def back(self) -> None:
        """It answers well."""
        uses = ("newNonce", "newAccount", "newOrder", "revokeCert")
        directory = {use: f"{self.served.base}/{use}" for use in uses}
        self.served.answers = {
            "/directory": says(directory),
            "/newOrder": self._ordered,
            "/order": self._order,
            "/proof": self._proof,
            "/ready": self._ready,
            "/finalize": self._finalize,
            "/certificate": self._certificate,
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
        now = datetime.fromtimestamp(self.clock(), UTC)
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
    """One for *names*; hand it the simulated clock and the life of its certificates."""
    with broken_authority(folder) as served:
        served.names = names
        yield Authority(served, lambda: 0.0, 90)
