"""A case: an event with all that proves it, in a zip file that anybody can check offline."""

import json
from collections.abc import Iterable
from importlib.resources import files
from io import BytesIO
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from cloudtrail_parquet.digests import proof
from cloudtrail_parquet.digests.found_row import FoundRow
from cloudtrail_parquet.digests.public_keys import PublicKey, PublicKeys
from cloudtrail_parquet.digests.vouching import Vouched
from cloudtrail_parquet.printable import writable
from cloudtrail_parquet.version import __version__

_MODE = 0o644 << 16
_README = """\
# Evidence of the event {event_id}

Account {account}, region {region}; from the dataset {dataset}.

    python verify.py .

proves it offline: it needs Python 3.11 and the package `cryptography`, and reads nothing but these
files. Read it first; it is short. Exit status: 0 all is proved, 1 something is wrong, 3 nothing is
wrong but not everything is proved.

| file | what |
|---|---|
{files}

## What it proves

1. `{record}` is the event as the dataset holds it. It equals record {number} of `{log_file}`, which
   CloudTrail delivered as `{log_key}`. Members that are null do not count.
2. CloudTrail's digest file, `{digest}`, names that log file with the SHA-256 of its text.
3. CloudTrail has signed that digest file: RSA, PKCS #1 v1.5, with SHA-256. The signature is in the
   digest file after it, `{next_digest}`, or in `{case}` if the metadata of the object were there.
4. The part of the dataset that holds the row has the hash that its receipt says.

## What you have to do yourself

The public key in `{keys}` proves nothing unless it is CloudTrail's. Ask AWS, in any account:

    aws cloudtrail list-public-keys --region {region} \\
      --start-time {start} --end-time {end} > ../keys.json
    python verify.py . --public-keys ../keys.json

`{sums}` shows damage; it does not stop anybody who writes it anew. What is not signed (`row.json`,
receipts) is vouched for by whoever gave you this: compare the SHA-256 of the zip file with theirs.
"""
_ABOUT = {
    proof.CASE: "what belongs together: event, log file, digest file, part",
    proof.RECORD: "the record as the dataset restores it",
    "row.json": "the row, column by column",
    proof.LOG_FILE: "the log file as it is stored",
    proof.DIGEST: "the digest file that names the log file",
    proof.NEXT_DIGEST: "the digest file after that one, with its signature",
    proof.RECEIPT: "the receipt of the conversion that wrote the row",
    "unit-receipt.json": "the receipt of the whole unit, of which that one is a shard",
    proof.KEYS: "CloudTrail's public keys that the digest files name",
    "verify.py": "proves it",
    proof.SUMS: "the SHA-256 of each file; `sha256sum -c` checks them, too",
}


def case_of(
    event_id: str, dataset: str, row: FoundRow, found: Vouched, keys: PublicKeys | None
) -> dict[str, bytes]:
    """The files of a case, by name.

    Args:
        event_id: The ``eventID``.
        dataset: Names the dataset.
        row: The row.
        found: Its log file, and what vouches for it.
        keys: The public keys; None if there are none.
    """
    members = {
        proof.RECORD: row.record,
        "row.json": row.columns,
        proof.LOG_FILE: found.data,
        "verify.py": files(proof.__package__).joinpath("proof.py").read_bytes(),
        proof.KEYS: _as_json({"PublicKeyList": [key.to_json() for key in _used(found, keys)]}),
    }
    for name, digest in ((proof.DIGEST, found.digest), (proof.NEXT_DIGEST, found.following)):
        if digest:
            members[name] = digest[1].data
    receipts = ("unit-receipt.json", proof.RECEIPT)[-len(row.receipts) :]
    if row.receipts:
        members |= dict(zip(receipts, row.receipts, strict=True))
    case = {
        "event_id": event_id,
        "account": row.place.account,
        "region": row.place.region,
        "log_file": found.key,
        "record": found.record,
        "digest": found.digest[0].key if found.digest else None,
        "signature": found.digest[0].signature if found.digest else "",
        "dataset": dataset,
        "part": {"key": row.part, "sha256": row.sha256, "row": row.number},
        "made_by": f"cloudtrail-parquet {__version__}",
    }
    members[proof.CASE] = _as_json(case)
    members["README.md"] = _readme(event_id, dataset, row, found, members)
    members[proof.SUMS] = proof.sums_of(members)
    return members


def _used(found: Vouched, keys: PublicKeys | None) -> Iterable[PublicKey]:
    """The keys that the digest files name, each once."""
    known = keys or PublicKeys()
    named = [key for digest in found.digests for key in known.named(digest.fingerprint)]
    return dict.fromkeys(named)


def _as_json(value: object) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"  # ASCII: a path may be no UTF-8


def _readme(
    event_id: str, dataset: str, row: FoundRow, found: Vouched, members: dict[str, bytes]
) -> bytes:
    digest = found.digest[0] if found.digest else None
    text = _README.format(
        event_id=event_id,
        account=row.place.account,
        region=row.place.region,
        dataset=dataset,
        files="\n".join(
            f"| `{name}` | {about} |"
            for name, about in _ABOUT.items()
            if name in members or name == proof.SUMS
        ),
        record=proof.RECORD,
        number=found.record,
        log_file=proof.LOG_FILE,
        log_key=found.key,
        digest=proof.DIGEST,
        next_digest=proof.NEXT_DIGEST,
        case=proof.CASE,
        keys=proof.KEYS,
        sums=proof.SUMS,
        start=digest.start.isoformat() if digest else "…",
        end=digest.end.isoformat() if digest else "…",
    )
    return writable(text).encode()


def zipped(members: dict[str, bytes]) -> bytes:
    """The files as a zip file, which has the same bytes for the same files."""
    sink = BytesIO()
    with ZipFile(sink, "w", ZIP_STORED) as archive:
        for name in sorted(members):
            info = ZipInfo(name)  # of 1980-01-01
            info.create_system, info.external_attr = 3, _MODE
            archive.writestr(info, members[name])
    return sink.getvalue()
