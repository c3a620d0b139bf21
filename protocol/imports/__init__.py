# SPDX-License-Identifier: Apache-2.0
"""What other libraries import and nobody here uses is left out, so that a command starts soon.

`install` puts one finder into Python's import system. What is left out is imported by its first use: nobody
who needs it sees a difference. This room never changes what a library does, only when its parts are loaded,
and imports nothing but the standard library. Versions are pinned or bounded in pyproject.toml.
"""

from trustedpods.protocol.imports.finder import install

__all__ = ["install"]
