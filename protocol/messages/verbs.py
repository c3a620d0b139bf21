# SPDX-License-Identifier: Apache-2.0
"""What may be asked of a provider in a signed request."""

from typing import Literal

Verb = Literal["admit", "provision", "blob", "status", "logs", "usage", "delete", "rotate"]
