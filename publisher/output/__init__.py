# SPDX-License-Identifier: Apache-2.0
"""The rim: how results become JSON, and what a person sees on a terminal.

`json_of` is the one way from a result to JSON, with snake_case keys that stay: tests hold a frozen copy of
them. Nothing here decides or asks anybody.
"""
