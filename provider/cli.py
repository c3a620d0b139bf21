# SPDX-License-Identifier: Apache-2.0
"""The command `trustedpods-provider`. Nothing but click is imported until a verb runs."""

import click

from trustedpods.provider.commands import (
    capability,
    earnings,
    guest,
    money,
    page,
    pods,
    registry,
    serve,
    setup,
)
from trustedpods.provider.commands.backups import verbs as backups
from trustedpods.provider.commands.operator_key import verbs as operator_key


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="trusted-pods")
def main() -> None:
    """Sell the time of a cluster to publishers of confidential pods."""


for verb in (
    serve.serve,
    serve.activator,
    registry.register,
    registry.unregister,
    money.prices,
    money.claim,
    operator_key.operator_key,
    earnings.earnings,
    capability.capability,
    pods.pods,
    pods.top,
    pods.health,
    page.page,
    pods.evict,
    pods.disclose,
    pods.drain,
    setup.set_up_provider,
    setup.facade_files,
    setup.tls_request,
    setup.doctor,
    backups.backup,
    backups.restore,
    guest.guest,
):
    main.add_command(verb)
