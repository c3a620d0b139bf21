# SPDX-License-Identifier: Apache-2.0
"""The chain of schemas: states that earlier versions wrote are read as this one has them, and not written."""

import base64
import copy
from pathlib import Path
from typing import Any

import msgpack
import pytest

from tests.protocol.networks.team import CAROL, NETWORK
from tests.protocol.networks.test_content import STATE
from trustedpods.protocol.codec import encode, unpack
from trustedpods.protocol.errors import Refused, RemoteProtocolError
from trustedpods.protocol.networks import migrations
from trustedpods.protocol.networks.content import read_content
from trustedpods.protocol.networks.migrations import SCHEMA, STEPS, SchemaStep, missing, newest
from trustedpods.protocol.networks.sealed_documents import SealedBody, open_body, parse_body, verified

WRITTEN = Path(__file__).parents[2] / "vectors/network_states"
"""Documents as the version of each schema wrote them; the README there says which."""


def document(schema: int) -> SealedBody:
    return parse_body(base64.b64decode((WRITTEN / f"schema-{schema}.b64").read_text()))


def content(schema: int) -> bytes:
    return open_body(document(schema), CAROL.address, CAROL.key)


def test_each_schema_has_the_document_that_it_wrote() -> None:
    assert sorted(WRITTEN.glob("*.b64")) == [
        WRITTEN / f"schema-{number}.b64" for number in range(1, SCHEMA + 1)
    ]


@pytest.mark.parametrize("schema", range(1, SCHEMA + 1))
def test_what_each_version_wrote_is_read_whole(schema: int) -> None:
    body = document(schema)
    assert (verified(body).network, body.schema_version) == (NETWORK, schema)
    state = read_content(content(schema))
    assert (state.content, state.schema_version) == (STATE, schema)


def test_the_bytes_of_this_schema_stay_as_they_are() -> None:
    """Frozen: states that stand in clusters must stay readable."""
    assert content(SCHEMA) == encode(STATE)


@pytest.mark.parametrize("schema", range(1, SCHEMA))
def test_an_older_state_is_not_written_unasked(schema: int) -> None:
    with pytest.raises(Refused) as caught:
        read_content(content(schema)).writable()
    assert caught.value.rule == "schema"
    assert "state migrate" in (caught.value.hint or "")


def places(value: Any, at: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at] * bool(at) + [found for key, each in inner for found in places(each, (*at, key))]


@pytest.mark.parametrize("schema", range(1, SCHEMA))
def test_an_older_state_with_a_wrong_value_anywhere_is_said_to_be_none(schema: int) -> None:
    """Whoever signed it: a wrong or a missing field is told, and never an accident of this program."""
    fields = unpack(content(schema))
    for *path, last in places(fields):
        for wrong in (None, 7, "x", [], {}, [7], "gone"):
            changed: Any = copy.deepcopy(fields)
            place = changed
            for part in path:
                place = place[part]
            if wrong == "gone":
                del place[last]
            else:
                place[last] = wrong
            raw: bytes = msgpack.packb(changed, use_bin_type=True)
            try:
                read_content(raw)
            except RemoteProtocolError:
                continue


def test_a_chain_with_a_gap_does_not_start() -> None:
    assert newest(()) == 1
    assert newest(STEPS) == SCHEMA
    for wrong in ((2, 4), (3,), (2, 2), (3, 2)):
        with pytest.raises(ValueError, match="gap"):
            newest(tuple(SchemaStep(to, "", lambda _: None) for to in wrong))


def test_what_is_missing_is_told_step_by_step() -> None:
    assert [step.to for step in missing(1)] == list(range(2, SCHEMA + 1))
    assert missing(SCHEMA) == ()
    assert all(step.what for step in migrations.STEPS)
