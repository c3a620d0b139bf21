# SPDX-License-Identifier: Apache-2.0
"""Asking a daemon from outside its machine: by the key that is here, at an address or at that of its row."""

import json
import time
from pathlib import Path

from trustedpods.contracts.client import Chain
from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.envelopes import ErrorReply
from trustedpods.protocol.errors import LocalProtocolError, NetworkFailure, Refused, error_from_wire
from trustedpods.protocol.ids import Address
from trustedpods.protocol.messages.base import Message
from trustedpods.protocol.net import open_host
from trustedpods.protocol.net.addresses import PeerAddress
from trustedpods.protocol.protocol_ids import OPERATOR
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.admin.remote.question import (
    MAX_ANSWER,
    OperatorAnswer,
    addressee,
    signed,
)
from trustedpods.provider.admin.views import AdminRequest, R, read_answer
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.keys.file import read_key

ROW = "row"
"""In an address's place: the one that the daemon wrote into the owner's row."""

ANSWER_WITHIN_S = 180.0
"""As on the admin socket: to drain is to claim, and waits for the chain."""

_AROUND = 1024


async def ask_remote(config: ProviderConfig, address: str, request: AdminRequest, answer: type[R]) -> R:
    """Ask the daemon of *config* at *address* (a multiaddr with its peer id, or `row`).

    By the operator's key of *config*. BadInput when the question is too long, NetworkFailure when the daemon
    does not answer, Refused when what it says is no *answer*, else the daemon's own error.
    """
    where = await _endpoint(config) if address == ROW else address
    fields = request.model_dump(mode="json", exclude_defaults=True)
    question = json.dumps({**fields, "verb": request.verb}, ensure_ascii=False)
    key = read_key(Path(config.identity.operator_key_file))
    async with open_host(None, []) as host, host.dial(where) as connection:
        to = addressee(config, _peer_id(where))
        asked = signed(key, host.peer_id, question, to, UnixSeconds(int(time.time())))
        async with connection.stream(OPERATOR) as stream:
            await stream.send(encode(asked))
            raw = await stream.receive(MAX_ANSWER + _AROUND, ANSWER_WITHIN_S)
    told: Message = decode(raw, OperatorAnswer, ErrorReply)
    match told:
        case ErrorReply():
            raise error_from_wire(told.code, told.what, told.where, told.hint, told.rule)
        case OperatorAnswer():
            return read_answer(answer, request.verb, _json(told.answer, where))
        case _:
            raise LocalProtocolError("decode gave what was not asked for")


def _json(text: str, where: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        raise Refused("the daemon's answer is no JSON", where=where) from None


def _peer_id(address: str) -> bytes:
    peer = PeerAddress.parse(address).peer_id
    assert peer is not None  # `dial` refuses an address without one
    return peer


async def _endpoint(config: ProviderConfig) -> str:
    market, identity = config.market, config.identity
    async with Chain(market.rpcs, market.market, agree=market.rpc_agree) as chain:
        row = await chain.provider(Address(identity.owner), identity.daemon)
    if row is None or not row.endpoint:
        raise NetworkFailure(
            "the owner's row leads nowhere yet", hint="the daemon writes its address into it"
        )
    return row.endpoint
