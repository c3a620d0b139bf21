# SPDX-License-Identifier: Apache-2.0
"""A verb's way to the running daemon: the admin socket of its configuration."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trustedpods.provider.admin.views import AdminRequest, R


def ask(config_path: Path, request: "AdminRequest", answer: "type[R]") -> "R":
    """The running daemon's answer; raises as `ask_daemon` does, BadInput for a wrong configuration."""
    import trio

    from trustedpods.provider.admin.socket import ask_daemon
    from trustedpods.provider.config import load_config

    told: R = trio.run(ask_daemon, load_config(config_path).admin_socket, request, answer)
    return told
