# SPDX-License-Identifier: Apache-2.0
"""The nodes that a chain is asked at: one over HTTP, or several of which enough must say the same.

It carries requests and compares answers. What an answer means is for `rpc` and the parts above; it never
takes silence or a difference for an answer.
"""
