# SPDX-License-Identifier: Apache-2.0
"""A whole market on one Linux machine: chain, contracts, Kubernetes clusters and providers.

`trustedpods-localnet up` is the demo, the test bed and what a newcomer sees first. Everything of
one localnet hangs on its name (network namespaces, control groups, addresses, state), so that
several run side by side and `down` leaves nothing behind, whatever was killed before.

This is the top room: it may use the rooms of both daemons, and nobody imports it.
"""
