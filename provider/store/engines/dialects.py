# SPDX-License-Identifier: Apache-2.0
"""What SQLite and PostgreSQL say differently; all else of the store is one text for both."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    String,
    Table,
    bindparam,
    cast,
    literal_column,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

WHOLE = BigInteger().with_variant(Integer(), "sqlite")
"""A whole number of 64 bits. SQLite's INTEGER has them, and only under that name counts rows by itself."""

POSTGRESQL = "postgresql"

Insert = sqlite.Insert | postgresql.Insert
"""Both know `on_conflict_do_update` and `on_conflict_do_nothing`, with the same arguments."""


def insert(connection: Connection, table: Table) -> Insert:
    """An INSERT that can say what becomes of a row that is there already."""
    if connection.dialect.name == POSTGRESQL:
        return postgresql.insert(table)
    return sqlite.insert(table)


class Larger(FunctionElement[int]):
    """The larger of two whole numbers; neither may be null, of which the two say different things."""

    name = "larger"
    type: TypeEngine[int] = WHOLE
    inherit_cache: bool | None = True


@compiles(Larger)
def _max(element: Larger, compiler: SQLCompiler, **options: object) -> str:
    return f"max({compiler.process(element.clauses, **options)})"


@compiles(Larger, POSTGRESQL)
def _greatest(element: Larger, compiler: SQLCompiler, **options: object) -> str:
    return f"greatest({compiler.process(element.clauses, **options)})"


class _Elements(FunctionElement[Any]):
    """One row for each element of a JSON array, in a column `value`."""

    name = "elements"
    inherit_cache: bool | None = True


@compiles(_Elements)
def _json_each(element: _Elements, compiler: SQLCompiler, **options: object) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_Elements, POSTGRESQL)
def _json_array_elements(element: _Elements, compiler: SQLCompiler, **options: object) -> str:
    return f"json_array_elements(CAST({compiler.process(element.clauses, **options)} AS JSON))"


@dataclass(frozen=True)
class AskedPairs:
    """Pairs of a query's JSON parameter as rows: one value, as both databases take a bounded number."""

    rows: FromClause
    first: ColumnElement[str]
    second_text: ColumnElement[str]
    second_whole: ColumnElement[int]


def asked_pairs(name: str) -> AskedPairs:
    """The rows of the parameter *name*: the text of a JSON array whose elements are pairs."""
    rows = _Elements(bindparam(name, type_=String())).table_valued("value")
    first, second = (rows.c.value.op("->>")(literal_column(place)) for place in ("0", "1"))
    return AskedPairs(rows, cast(first, String), cast(second, String), cast(second, WHOLE))
