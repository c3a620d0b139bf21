# SPDX-License-Identifier: Apache-2.0
"""What the verbs of the client return: frozen values with types, by subject.

Amounts are integers in base units of the market's token, times are seconds since 1970. Nothing here knows
JSON or a terminal. A `...Progress` is the one thing that changes: whoever calls a verb hands it in, the verb
fills it, and after an error it says what is known and where the money is.
"""
