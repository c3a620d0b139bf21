# SPDX-License-Identifier: Apache-2.0
"""The processes of a localnet: a supervisor, what it starts, how it knows them again, and when each is ready.

Every process is ended by its id or its control group, never by its name.
"""
