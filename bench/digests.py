"""How long it takes to check the digest files of a tree, and the log files that they name.

cloudtrail-parquet generate LOGS --accounts 300 --regions 17 --days 1 --records 200000 --digests
python -m bench.digests LOGS [WORKERS]
"""

import resource
import sys
from collections import Counter
from datetime import date
from functools import partial
from pathlib import Path
from time import perf_counter

from cloudtrail_parquet.digests.check import check_digests, digested_places
from cloudtrail_parquet.digests.logs import Period
from cloudtrail_parquet.digests.public_keys import PublicKeys
from cloudtrail_parquet.sample_logs.digests import keys_of
from cloudtrail_parquet.source.discover import discover
from cloudtrail_parquet.storage import open_store


def main(logs: Path, workers: int = 2) -> None:
    """Check everything once, and print what was found and how long it took."""
    begin, opener = perf_counter(), partial(open_store, logs)
    places = digested_places(opener(), discover(opener(), ["CloudTrail"]))
    path = keys_of(logs)
    keys = PublicKeys.of_files([(str(path), path.read_bytes())])
    counts, kinds = Counter[str](), Counter[str]()
    for report in check_digests(opener, places, Period.of_days(date.min, date.max), keys, workers):
        counts += Counter(places=1, digests=report.digests, signed=report.signed)
        counts += Counter(log_files=report.log_files, bytes=report.bytes)
        kinds.update(finding.kind for finding in report.findings)
    own, others = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime
    print(", ".join(f"{name} {number:,}" for name, number in counts.items()))
    print(f"found: {dict(kinds)}")
    peak = max(own.ru_maxrss, others.ru_maxrss) // 1024
    print(f"{perf_counter() - begin:.1f} s, {cpu:.1f} s of CPU, {workers} workers, {peak} MiB each")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
