"""A report of a dataset in a bucket: that of a disk, and what is requested for it."""

import re
from collections.abc import Callable
from pathlib import Path

from cloudtrail_parquet.reporting.changes import summary_in
from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from tests.end_to_end.program import succeed
from tests.s3.faults import FaultProxy

SPEC = TreeSpec(accounts=2, regions=1, days=3, records=300, late=0.05)
UP_TO = ("--to", "2026-01-12")


def test_a_bucket_has_the_report_of_a_disk_which_reads_no_part_of_itself(
    new_bucket: Callable[[], str], proxy: FaultProxy, tmp_path: Path
) -> None:
    generate_tree(tmp_path / "logs", SPEC)
    lake, page = f"s3://{new_bucket()}/lake", tmp_path / "report.html"
    summaries = []
    for dataset in (tmp_path / "lake", lake):
        succeed("convert", tmp_path / "logs", dataset, "--workers", 1)
        succeed("report", dataset, "-o", page, *UP_TO, "--force")
        summaries.append(summary_in(page.read_bytes()))
    disk, bucket = summaries

    assert disk is not None
    assert bucket is not None
    assert bucket.dataset == lake
    assert (bucket.records, bucket.late, bucket.places, bucket.lacking, bucket.parquet_bytes) == (
        *(disk.records, disk.late, disk.places, disk.lacking, disk.parquet_bytes),
    )

    proxy.requests.clear()
    succeed("report", lake, "-o", page, *UP_TO, "--top-days", 0)
    read = [request.path for request in proxy.requests if request.method == "GET"]
    assert not [path for path in read if re.search(r"\.parquet$", path) and "/ledger/" not in path]
