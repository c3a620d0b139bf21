# SPDX-License-Identifier: Apache-2.0
"""What the provider decides, as pure functions: state and an event in, new state and commands out.

Nothing here does I/O or reads a clock: times come in as arguments, commands go out as frozen
values that others run, each of which may be repeated. Doors use the vocabulary of this room;
this room never imports a door.
"""
