"""Receipts made of receipts: those of shards, of an addition, and of what is kept."""

from collections.abc import Collection, Container, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec
from msgspec.structs import replace

from cloudtrail_parquet.state.figures import PlaceTable, Quarantined, added_places
from cloudtrail_parquet.state.receipt import (
    Made,
    R,
    Read,
    Receipt,
    Rows,
    ShardReceipt,
    receipt_of,
)


def total(receipts: Collection[ShardReceipt], run: str) -> Receipt:
    """Add up the receipts of all shards, in the order of their numbers, to that of the unit."""
    last = max(receipts, key=lambda receipt: receipt.converted_at)
    kept = [receipt for receipt in receipts if receipt.kept]
    current = next((receipt for receipt in reversed([*receipts]) if not receipt.kept), last)
    return receipt_of(
        last.unit,
        Made(
            converted_at=last.converted_at,
            converter=last.converter,
            schema_version=min(receipt.schema_version for receipt in receipts),
            lookbehind_s=last.lookbehind_s,
            lookahead_s=last.lookahead_s,
            folders=current.folders,
            source_fingerprint=current.source_fingerprint,
            settings=current.settings,
            run=run,
        ),
        Read.total(receipts, current.unplaced),
        Rows.total(receipts),
        [part for receipt in receipts for part in receipt.parts],
        is_complete=all(receipt.status == "complete" for receipt in receipts),
        settled=all(receipt.settled for receipt in receipts),
        seconds=sum(receipt.seconds for receipt in receipts),
        kept="; ".join(f"shard {receipt.shard}: {receipt.kept}" for receipt in kept),
        kept_source=kept[0].kept_source if kept else "",
    )


def with_addition(
    before: Receipt, added: Receipt, fingerprint: str, again: Container[str] = ()
) -> Receipt:
    """Add the receipt of an addition to that of the parts that stay.

    Args:
        before: The receipt of these.
        added: The receipt of the run that has read the new log files.
        fingerprint: The fingerprint of all log files together.
        again: The keys of log files that the run has read although they were known.
    """
    unread = [bad for bad in before.quarantined if bad.key not in again]
    before = replace(before, quarantined=unread)
    both = (before, added)
    receipt = receipt_of(
        added.unit,
        Made(
            converted_at=added.converted_at,
            schema_version=before.schema_version,
            lookbehind_s=before.lookbehind_s,
            lookahead_s=before.lookahead_s,
            folders=before.folders,
            source_fingerprint=fingerprint,
            settings=before.settings,
            run=added.run,
        ),
        Read.total(both, added.unplaced),
        replace(Rows.total(both), places=_places(before, added)),
        before.parts + added.parts,
        is_complete=added.status == "complete" and not before.quarantined,
        settled=added.settled,
        seconds=before.seconds + added.seconds,
        additions=before.additions + 1,
        rebuilt=before.rebuilt,
    )
    return replace(receipt, rewritten=before.rewritten, expired=before.expired)


def _places(before: Receipt, added: Receipt) -> PlaceTable:
    """The places of both; which of them may not be listed is for the addition to say."""
    stay: PlaceTable = {
        account: {region: each for region, each in regions.items() if each.state != "refused"}
        for account, regions in before.places.items()
    }
    return added_places((stay, added.places))


def kept_source(receipt: Receipt, fingerprint: str, rows: Mapping[str, Any]) -> str:
    """What tells whether another run would keep the parts of a receipt as well.

    Args:
        receipt: The receipt.
        fingerprint: The fingerprint of the log files that the run sees.
        rows: The settings of the run that rows depend on, by name. With others than those of the
            parts a run adds nothing to them.
    """
    if all(receipt.settings.get(name, value) == value for name, value in rows.items()):
        return fingerprint
    digest = sha256(msgspec.json.encode(rows, order="sorted")).hexdigest()
    return f"{fingerprint} {digest[:8]}"


def as_kept(  # noqa: PLR0913
    before: R,
    why: str,
    *,
    source: str,
    quarantined: list[Quarantined],
    when: datetime,
    settled: bool,
    run: str,
) -> R:
    """The receipt of a run that replaced nothing: the one before it, and why.

    Args:
        before: The receipt of the run before.
        why: What the source has lost, in words.
        source: `kept_source` of this run.
        quarantined: What could not be read of those.
        when: The time of this run.
        settled: Whether the unit's window has passed by now.
        run: The run to name: this one if it rewrites the state, else the one that wrote the parts.
    """
    return msgspec.structs.replace(
        before,
        status="partial",
        kept=why,
        kept_source=source,
        quarantined=quarantined,
        converted_at=when,
        settled=settled,
        run=run,
    )
