# SPDX-License-Identifier: Apache-2.0
"""Intel TDX: quotes, event logs, and what a policy may ask of a machine. Pure.

`dcap-qvl` checks signatures and collateral; everything that it accepts and we must not is refused here.
"""
