# SPDX-License-Identifier: Apache-2.0
"""What each verb does: opens the doors, asks `core` what to do, does it, and tells the journal.

Importing these modules costs seconds (web3, libp2p); the command line does so inside the verb.
"""
