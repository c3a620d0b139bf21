# SPDX-License-Identifier: Apache-2.0
"""The two databases that the books may lie in, SQLite's file and PostgreSQL: how each is opened and written.

`dialects` has every word that the two say differently, `writers` the fence that lets one daemon write,
`belonging` whose books they are.
"""
