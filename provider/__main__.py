# SPDX-License-Identifier: Apache-2.0
"""`python -m trustedpods.provider` is `trustedpods-provider`."""

from trustedpods.provider.cli import main

main(prog_name="trustedpods-provider")
