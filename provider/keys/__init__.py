# SPDX-License-Identifier: Apache-2.0
"""The provider's keys: those made inside for one boot, those that lie in files, and what is kept beside them.

No key of a boot is ever written to a disk that outlives it, and no key is logged.
"""
