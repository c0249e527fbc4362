from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.intake.origin import tree_around
from cloudtrail_parquet.intake.placement import Placement, path_in_source, placement_of

DAY = date(2026, 1, 10)
NAME = "012345678901_CloudTrail_us-east-1_20260110T1005Z_AbCdEfGhIjKlMnOp.json.gz"
HERE = Placement("012345678901", "CloudTrail", "us-east-1", DAY)
FOLDERS = "123456789012/CloudTrail/eu-west-1/2026/01/11"
THERE = Placement("123456789012", "CloudTrail", "eu-west-1", date(2026, 1, 11))
DIGEST = "012345678901_CloudTrail-Digest_us-east-1_a_trail_eu-west-1_20260110T102345Z.json.gz"


@pytest.mark.parametrize(
    ("path", "placement"),
    [
        (NAME, HERE),
        (f"/home/me/{NAME}", HERE),
        (NAME.replace(".gz", ""), HERE),
        (NAME.replace("Z_AbCdEfGhIjKlMnOp", "Z (1)"), HERE),
        (
            NAME.replace("CloudTrail_", "CloudTrail-Insight_"),
            HERE._replace(folder="CloudTrail-Insight"),
        ),
        (f"{FOLDERS}/odd.json", THERE),
        (f"s3://bbb/{FOLDERS}/deeper/{NAME}", THERE),  # folders decide, as in a delivered tree
        (f"{FOLDERS}/copy/{FOLDERS.replace('11', '12')}/x", THERE._replace(day=date(2026, 1, 12))),
        (f"{FOLDERS.replace('/01/', '/13/')}/{NAME}", HERE),
        (f"{FOLDERS.replace('/11', '/11x')}/{NAME}", HERE),
        (f"{FOLDERS.replace('CloudTrail', 'Config')}/x", THERE._replace(folder="Config")),
        (DIGEST, HERE._replace(folder="CloudTrail-Digest")),
        (
            "012345678901_Config_us-east-1_ConfigHistory_20260110T100500Z_1.json.gz",
            HERE._replace(folder="Config"),
        ),
        (f"{FOLDERS.replace('CloudTrail', 'trails')}/x", None),
        (NAME.replace("20260110", "20260230"), None),
        (NAME.replace("us-east-1", "us-east-1\n"), None),
        (NAME.replace("us-east-1", ".."), None),
        (NAME.replace(".json.gz", ".jsonl"), None),
        (f"x{NAME}", None),
        ("", None),
    ],
)
def test_where_a_file_belongs_by_its_folders_or_its_name(
    path: str, placement: Placement | None
) -> None:
    assert placement_of(path) == placement


@given(st.text(min_size=1))
def test_an_arranged_key_tells_the_path(path: str) -> None:
    assert path_in_source(HERE.prefix + path) == path
    assert path_in_source(f"some/where/{HERE.prefix}{path}") == f"some/where/{path}"


@pytest.mark.parametrize(
    ("location", "tree"),
    [
        (
            "s3://bbb/p/AWSLogs/012345678901?region=eu-west-1",
            ("s3://bbb/p?region=eu-west-1", "AWSLogs/012345678901/"),
        ),
        ("s3://bbb/AWSLogs/o-abcd/", ("s3://bbb", "AWSLogs/o-abcd/")),
        ("/AWSLogs/012345678901", ("/", "AWSLogs/012345678901/")),
        ("file:///a%20b/AWSLogs/012345678901", ("/a b", "AWSLogs/012345678901/")),
        (f"/x/AWSLogs/o-abcd/{FOLDERS}", ("/x", f"AWSLogs/o-abcd/{FOLDERS}/")),
        (f"/x/AWSLogs/{FOLDERS}/deeper/still", ("/x", f"AWSLogs/{FOLDERS}/deeper/still/")),
        (f"/x/AWSLogs/{FOLDERS[:-3]}", ("/x", f"AWSLogs/{FOLDERS[:-3]}/")),
        (f"/x/AWSLogs/{FOLDERS[:-6]}-01", None),  # not a folder of a trail's
        ("/x/AWSLogs", None),
        ("/x/AWSLogs/downloads", None),
        ("s3://bbb/awslogs/012345678901", None),
    ],
)
def test_the_tree_around_a_folder(location: str, tree: tuple[str, str] | None) -> None:
    assert tree_around(location) == tree
