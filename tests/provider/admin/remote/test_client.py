# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""The operator's side: by the key of his settings, at an address or where the row leads, typed answers."""

import time
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from tests.fakes.provider.world import World
from trustedpods.protocol.errors import BadInput, NetworkFailure, Refused
from trustedpods.provider.admin.remote import client
from trustedpods.provider.admin.remote.client import ROW, ask_remote
from trustedpods.provider.admin.reports.health_views import Health, HealthRequest
from trustedpods.provider.admin.views import (
    AdminRequest,
    DaemonIdentity,
    Evicted,
    EvictRequest,
    IdentityRequest,
    Overview,
    OverviewRequest,
    PodList,
    PodsRequest,
)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, asked_from_outside=True, now=float(int(time.time())))


@pytest.fixture
def outside(world, tmp_path):
    """Settings of who stands outside, with the operator's key in a file."""

    def settings(key=None):
        file = tmp_path / "operator.key"
        file.touch(0o600)
        file.write_text((key or world.operator_key).hex())
        config = world._config()
        identity = config.identity.model_copy(update={"operator_key_file": str(file)})
        return config.model_copy(update={"identity": identity})

    return settings


async def test_each_answer_is_what_its_verb_prints(world, outside):
    async with world.run() as (_, address):
        for request, answer in (
            (HealthRequest(), Health),
            (OverviewRequest(), Overview),
            (PodsRequest(all=True), PodList),
            (IdentityRequest(), DaemonIdentity),
        ):
            told = await ask_remote(outside(), address, request, answer)
            assert isinstance(told, answer)
        assert told.endpoint == address


async def test_the_daemons_own_errors_come_as_on_the_machine(world, outside):
    async with world.run() as (_, address):
        with pytest.raises(Refused) as refused:
            await ask_remote(outside(), address, EvictRequest(target="a", reason="b"), Evicted)
        assert refused.value.rule == "unknown-pod"


async def test_a_reason_over_the_bound_is_refused_before_it_is_sent(world, outside):
    async with world.run() as (_, address):
        for text in ("\N{GRINNING FACE}" * 2048, "\1" * 2048):
            with pytest.raises(BadInput, match="4096 bytes"):
                await ask_remote(outside(), address, EvictRequest(target="a", reason=text), Evicted)


async def test_another_key_is_refused(world, outside):
    async with world.run() as (_, address):
        with pytest.raises(Refused) as refused:
            await ask_remote(outside(b"\7" * 32), address, PodsRequest(), PodList)
        assert refused.value.rule == "operator-signature"


async def test_an_answer_of_another_kind_is_refused(world, outside):
    async with world.run() as (_, address):
        with pytest.raises(Refused, match="no answer"):
            await ask_remote(outside(), address, AdminRequest(verb="pods"), Health)


async def test_where_the_row_leads(world, outside, monkeypatch):
    row = SimpleNamespace(endpoint="")

    async def provider(owner, daemon):
        assert (owner, daemon) == (world.owner, 1)
        return row

    @asynccontextmanager
    async def chain(*_, **__):
        yield SimpleNamespace(provider=provider)

    monkeypatch.setattr(client, "Chain", chain)
    async with world.run() as (_, address):
        with pytest.raises(NetworkFailure, match="leads nowhere"):
            await ask_remote(outside(), ROW, PodsRequest(), PodList)
        row.endpoint = address
        assert (await ask_remote(outside(), ROW, PodsRequest(), PodList)).pods == []
