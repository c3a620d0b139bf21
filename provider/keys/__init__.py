# SPDX-License-Identifier: Apache-2.0
"""The provider's keys: those made inside for one boot, those that lie in files, and what is kept beside them.

No key is ever written to a disk that outlives the boot, and none is logged.
"""
