# SPDX-License-Identifier: Apache-2.0
"""The client of the one who rents: choose a provider, attest it, pay, send, watch, check the bill.

`core` decides and does no I/O, `verbs` do the work, `commands` speak with the person. libp2p and
web3 are reached only through `protocol.net` and `contracts.client`; nothing here knows Kubernetes.
"""
