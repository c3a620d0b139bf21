# SPDX-License-Identifier: Apache-2.0
"""Keys and values of labels, as Kubernetes takes them."""

from typing import Annotated

from pydantic import Field

from trustedpods.manifests.spec.part import Spelling

LabelKey = Annotated[
    str,
    Field(max_length=317),
    Spelling(
        r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?",
        "a label's name of 1 to 63 letters, digits, `-`, `_` and `.`, perhaps behind `example.org/`",
    ),
]
LabelValue = Annotated[
    str,
    Spelling(
        r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?",
        "a label's value: up to 63 letters, digits, `-`, `_` and `.`, beginning and ending with one of the "
        "former two",
    ),
]
