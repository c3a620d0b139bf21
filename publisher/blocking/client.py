# SPDX-License-Identifier: Apache-2.0
"""`BlockingClient`: every verb of `Client`, for scripts and notebooks."""

import weakref
from pathlib import Path
from types import TracebackType
from typing import Self

from trustedpods.publisher.blocking.derived import InThread, at_once, feeds, holds, waits
from trustedpods.publisher.blocking.trio_thread import TrioThread
from trustedpods.publisher.client import Client, connect
from trustedpods.publisher.journal import Show


class BlockingClient(InThread):
    """One key in one market, as `Client`, whose verbs return when they are done.

    It works where an event loop runs already, as in a notebook: it has trio in a thread of its own. `with`
    ends it, or `disconnect`, or the end of the program. Several threads may call it at once; Ctrl-C cancels
    the verb that waits. What `exec_stream` hands its bytes to is awaited in that thread.
    """

    def __init__(
        self, market: str | Path | None = None, key: str | Path | None = None, show: Show | None = None
    ) -> None:
        """Open a market with a key, as `connect` does, and raise what that raises."""
        self._thread = TrioThread(lambda: connect(market, key, show))
        self._at_exit = weakref.finalize(self, self._thread.stop)

    def __enter__(self) -> Self:
        """Itself, which is open already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        self.disconnect()

    def disconnect(self) -> None:
        """Cancel what runs, and let go of the market; a call afterwards is an error."""
        self._at_exit()

    deploy = waits(Client.deploy)
    plan = waits(Client.plan)
    estimate = waits(Client.estimate)
    status = waits(Client.status)
    overview = waits(Client.overview)
    logs = waits(Client.logs)
    exec = waits(Client.exec)
    push = waits(Client.push)
    events = waits(Client.events)
    usage = waits(Client.usage)
    restart = waits(Client.restart)
    rollback = waits(Client.rollback)
    versions = waits(Client.versions)
    delete = waits(Client.delete)
    fund = waits(Client.fund)
    close = waits(Client.close)
    list = waits(Client.list)
    top = waits(Client.top)
    balance = waits(Client.balance)
    bill = waits(Client.bill)
    audit = waits(Client.audit)
    providers = waits(Client.providers)
    render = waits(Client.render)
    inspect = waits(Client.inspect)
    attest = waits(Client.attest)
    watch = waits(Client.watch)

    # ---- bytes for as long as the caller wants ----

    exec_stream = waits(Client.exec_stream)
    copy = waits(Client.copy)
    follow_logs = feeds(Client.follow_logs)
    port_forward = holds(Client.port_forward)

    # ---- running or not, and money that is owed ----

    stop = waits(Client.stop)
    start = waits(Client.start)
    withdraw = waits(Client.withdraw)

    # ---- networks ----

    network_card = at_once(Client.network_card)
    network_connect = waits(Client.network_connect)
    network_plan = waits(Client.network_plan)
    network_apply = waits(Client.network_apply)
    network_status = waits(Client.network_status)
    network_endpoints = waits(Client.network_endpoints)
    network_logs = waits(Client.network_logs)
    network_fund = waits(Client.network_fund)
    network_delete = waits(Client.network_delete)
    member_add = waits(Client.member_add)
    member_role = waits(Client.member_role)
    member_remove = waits(Client.member_remove)
    network_lost = waits(Client.network_lost)
    network_list = waits(Client.network_list)
    lock_status = waits(Client.lock_status)
    lock_break = waits(Client.lock_break)
    state_show = waits(Client.state_show)
    state_repair = waits(Client.state_repair)
    history = waits(Client.history)
    state_backup = waits(Client.state_backup)
    state_migrate = waits(Client.state_migrate)
    state_restore = waits(Client.state_restore)
