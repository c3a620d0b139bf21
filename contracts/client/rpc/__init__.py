# SPDX-License-Identifier: Apache-2.0
"""Ethereum's JSON-RPC as far as this project speaks it: methods, answers, and contracts by eth-abi.

It sends nothing itself and decides nothing: `node` carries the requests, and what an answer lacks or says
otherwise than its method must is an error, never a default.
"""
