# SPDX-License-Identifier: Apache-2.0
"""The running daemon: tasks that hold the doors open and carry out what `core` decides.

`opening` opens the doors, `assembly` puts the parts together, `daemon` runs them. `pods` is the
one holder of records; `keeper` carries a pod through the phases in which there is work; `fleet`
wakes and scales; `reconciler` compares store, chain, cluster and facade; `meter` writes the ledger
and `settlement` turns it into claims. Any of them may be killed at any moment: what they do next
follows from what is stored and what is there.
"""
