# SPDX-License-Identifier: Apache-2.0
"""The settings of a daemon without a market: it keeps networks' documents and leases, and sells nothing."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trustedpods.protocol.ids import Address
from trustedpods.protocol.messages.base import U32
from trustedpods.protocol.sealing.requests import ChainContext
from trustedpods.provider.config import NetSection, PathText, Section, TeeText
from trustedpods.provider.market_settings import ConfiguredAddress
from trustedpods.provider.settings_file import read_settings


class DocumentsMarket(Section):
    """The market whose networks are kept: requests are signed for it. No chain is asked."""

    chain_id: Annotated[int, Field(ge=1)]
    payments: ConfiguredAddress

    @property
    def context(self) -> ChainContext:
        """The market as requests name it."""
        return ChainContext(self.chain_id, Address(self.payments))


class DocumentsIdentity(Section):
    """Under which address and number the daemon is known. The address signs nothing, and needs no coin.

    People pin the peer id of the keys in `keys_dir`. Of class `open` these may lie on a disk, and so outlive
    a reboot; of class `sealed` they must not, and are pinned anew after one.
    """

    owner: ConfiguredAddress
    daemon: U32
    keys_dir: PathText
    tee: TeeText = "none"
    tee_files: PathText | None = None
    trust: Literal["sealed", "open"] = "open"


class DocumentsCluster(Section):
    """The cluster that keeps documents and leases."""

    kubeconfig: PathText


class DocumentsStore(Section):
    """Where the daemon remembers which requests it has seen."""

    path: PathText


class DocumentsConfig(Section):
    """The whole file."""

    market: DocumentsMarket
    identity: DocumentsIdentity
    net: NetSection
    cluster: DocumentsCluster
    store: DocumentsStore

    @model_validator(mode="after")
    def _nothing_to_ask(self) -> Self:
        if self.net.operator:
            raise ValueError("net.operator: a daemon without a market has none of those verbs")
        return self


def load_documents_config(path: Path) -> DocumentsConfig:
    """Read and check the file; `BadInput` names the file and the key of the first mistake."""
    return read_settings(path, DocumentsConfig)
