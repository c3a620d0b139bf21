# SPDX-License-Identifier: Apache-2.0
"""The pod's payment channel: opened once, met again by every rerun, and its deposit got back.

No transaction is sent that the verb above has not announced.
"""
