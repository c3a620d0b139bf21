# SPDX-License-Identifier: Apache-2.0
"""Closing a channel whose notice is over, and remembering that its notice was given for that."""

from trustedpods.protocol.errors import Refused, TrustedPodsError
from trustedpods.protocol.ids import ChannelId, PodRef, channel_hex
from trustedpods.protocol.units import UnixSeconds
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.output.json_of import as_facts
from trustedpods.publisher.output.json_parts import transaction_json
from trustedpods.publisher.results.money import DepositOutcome, MinedTransaction
from trustedpods.publisher.state.pod_records import FOLDER, PodRecords


def intend(channel: ChannelId, when: UnixSeconds | None, journal: Journal) -> None:
    """Keep that a notice of the chain's time *when* or just after it is given to close; None: no more.

    Kept before the notice is given, so that a kill between the two forgets nothing. Without a record of the
    pod here nothing is kept: `close` alone ends such a channel.
    """
    kept = PodRecords(state_dir() / FOLDER)
    try:
        record = kept.load(channel_hex(channel))
        if record is not None and record.closing != when:
            kept.save(record.model_copy(update={"closing": when}))
    except TrustedPodsError as error:
        journal.show.warning(f"{error}; `watch` will not close the channel by itself")


async def end(account: MarketAccount, ref: PodRef, journal: Journal) -> DepositOutcome | None:
    """Close a channel whose notice is over; None where its provider has released it just now.

    Raises `Refused` (rule `Locked`) where the notice was taken back in the last moment.
    """
    try:
        receipt = await account.chain.close(account.publisher.key, ref.owner, ref.salt)
    except Refused as error:
        if error.rule != "Unknown":
            raise
        return None
    transaction = MinedTransaction.of(receipt)
    text = f"closed: {account.token.rough(receipt.moved)} came back"
    journal.event("closed", text, **as_facts(transaction_json(transaction)))
    return DepositOutcome("closed", refund=receipt.moved, transaction=transaction)
