# SPDX-License-Identifier: Apache-2.0
"""`network`, complete: its verbs stand in several modules."""

from trustedpods.publisher.commands.exec import execute_in_node
from trustedpods.publisher.commands.network import files, members, owners, whole
from trustedpods.publisher.commands.network.documents import history
from trustedpods.publisher.commands.network.network import network

__all__ = ["network"]

for part in (
    files.init,
    files.render,
    members.member,
    members.lost_cluster,
    whole.endpoints,
    whole.logs,
    whole.fund,
    whole.backup,
    execute_in_node,
    history,
    owners.export,
    owners.import_,
    owners.invite,
    owners.join,
    owners.accept,
    owners.leave,
):
    network.add_command(part)
