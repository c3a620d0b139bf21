# SPDX-License-Identifier: Apache-2.0
"""What may be asked of a provider in a signed request, grouped by what it is asked about."""

from typing import Literal

PodVerb = Literal[
    "admit",
    "provision",
    "restart",
    "stop",
    "start",
    "blob",
    "status",
    "logs",
    "follow",
    "exec",
    "terminal",
    "forward",
    "usage",
    "delete",
    "rotate",
    "render",
    "book",
]
"""Asked about one pod."""

NetworkVerb = Literal["network"]
"""Asked about a network of pods: its lease and its document; `messages/networks.py` has the questions."""

Verb = Literal[PodVerb, NetworkVerb]
"""A verb stands in one group only: signed with a request, it says what kind of subject the request has."""
