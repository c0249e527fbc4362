"""What a client of S3 costs this process: the time to import it, and the CPU of a small GET.

    python -m bench.clients

GETs go to the slow S3 of a process of its own, with no latency, one at a time; connections are
warm. obstore is asked as the converter asks it, boto3 as its guide says.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.slow_s3.process import OBJECT_BYTES, SlowS3
from cloudtrail_parquet.reference.markdown import table

RUNS = 5
GETS = 500


def import_s(name: str) -> float:
    """Seconds that a new process takes for an import, the median of some."""
    code = f"import time; begun = time.perf_counter(); {name}; print(time.perf_counter() - begun)"
    command = [sys.executable, "-c", code]
    runs = [subprocess.run(command, capture_output=True, check=True).stdout for _ in range(RUNS)]
    return median(map(float, runs))


def cpu_ms(get: Callable[[], int]) -> float:
    """Milliseconds of CPU for a GET, all threads of this process together."""
    costs = []
    for _ in range(RUNS):
        begun = time.process_time()
        for _ in range(GETS):
            assert get() == OBJECT_BYTES  # noqa: S101
        costs.append((time.process_time() - begun) / GETS * 1000)
    return median(costs)


def main() -> None:
    """Print both for each client."""
    imports = {
        "obstore": "import obstore, obstore.store",
        "boto3": "import boto3; boto3.client('s3', region_name='us-east-1')",
    }
    with TemporaryDirectory() as folder:
        Path(folder, "object").write_bytes(bytes(OBJECT_BYTES))
        with SlowS3({"bucket": Path(folder)}, 0) as server:
            os.environ.update(server.environment)
            rows = [
                [name, f"{import_s(imports[name]):.2f}", f"{cpu_ms(getter()):.2f}"]
                for name, getter in (("obstore", by_obstore), ("boto3", by_boto3))
            ]
    print(table(["client", "import and make it, s", "CPU of a GET of 1 kB, ms"], rows))


def by_obstore() -> Callable[[], int]:
    """A GET by the store of the converter."""
    from cloudtrail_parquet.storage import open_store  # noqa: PLC0415 - it is measured apart

    store = open_store("s3://bucket")
    return lambda: len(store.read("object"))


def by_boto3() -> Callable[[], int]:
    """A GET by boto3."""
    import boto3  # noqa: PLC0415 - it is measured apart

    client = boto3.client("s3", region_name="us-east-1")
    return lambda: len(client.get_object(Bucket="bucket", Key="object")["Body"].read())


if __name__ == "__main__":
    main()
