# SPDX-License-Identifier: Apache-2.0
"""Messages of conversations that go on for as long as the client wants."""
