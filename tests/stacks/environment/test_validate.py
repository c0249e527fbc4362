"""Fields that are legal each, but not together."""

import re
from typing import Any

import pytest

from tests.stacks.environment.files import (
    BOUNDARY,
    KEY,
    ROLE,
    SOURCE,
    TOPIC,
    changed,
    problem,
    problems,
    read,
    schedule_conflicts,
    scheduled,
    table,
)

WORKGROUP = {"catalogue.enabled": True, "catalogue.workgroup.bucket": "results"}
WORKGROUP_OF_DT = {**WORKGROUP, "converter.partition_layout": "dt"}

CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"dataset.prefix": ""}, "state: has to be given"),
    (
        {"state": {"bucket": "lake", "prefix": "cloudtrail/state"}},
        "state: s3://lake/cloudtrail/",
    ),
    (
        {"state": {"bucket": "lake", "prefix": "cloudtrail"}},
        "state: s3://lake/cloudtrail lies in",
    ),
    (
        {"dataset.prefix": "", "state": {"bucket": "lake", "prefix": "x"}},
        "state: s3://lake/x lies",
    ),
    (
        {"dataset.bucket": "org-logs", "sources[].region": "us-east-1"},
        "dataset: the region of org-logs is eu-central-1 here, and us-east-1 in sources[0]",
    ),
    (
        {
            "dataset.bucket": "org-logs",
            "dataset.account": "111122223333",
            "sources[].account": "444455556666",
        },
        "dataset: the account of org-logs is 111122223333 here, and 444455556666 in sources[0]",
    ),
    (
        {"dataset.region": "us-east-1", "state": {"bucket": "lake", "prefix": "s"}},
        "state: the region of lake is eu-central-1 here, and us-east-1 in dataset",
    ),
    (
        {"backend.region": "us-east-1", "backend.bucket": "lake"},
        "backend: the region of lake is us-east-1 here, and eu-central-1 in dataset",
    ),
    (
        {
            **WORKGROUP_OF_DT,
            "catalogue.workgroup.bucket": "org-logs",
            "catalogue.workgroup.account": "111122223333",
            "sources[].account": "444455556666",
        },
        "catalogue.workgroup: the account of org-logs is 111122223333 here, and 44445555",
    ),
    (
        {"dataset.create": True, "backend.bucket": "lake"},
        "backend.bucket: lake is created here (dataset.create), and Terraform needs its state",
    ),
    (
        {"state.create": True, "backend.bucket": "lake-state"},
        "backend.bucket: lake-state is created here (state.create)",
    ),
    (
        {
            **WORKGROUP_OF_DT,
            "catalogue.workgroup.bucket": "org-logs",
            "catalogue.workgroup.prefix": "AWSLogs/athena",
        },
        "catalogue.workgroup: s3://org-logs/AWSLogs/athena lies in AWSLogs of sources[0]",
    ),
    ({"sources": [SOURCE, SOURCE]}, "sources[1]: s3://org-logs is sources[0] already"),
    (
        {
            "sources": [
                {**SOURCE, "prefix": "a/b", "region": "us-east-1"},
                {**SOURCE, "prefix": "a"},
            ]
        },
        "sources[0]: s3://org-logs/a/b lies in s3://org-logs/a, which is sources[1]",
    ),
    (
        {"dataset.bucket": "org-logs", "dataset.prefix": "trails/AWSLogs/parquet"},
        "dataset: s3://org-logs/trails/AWSLogs/parquet lies in AWSLogs of sources[0]",
    ),
    (
        {"sources[].prefix": "AWSLogs", "state": {"bucket": "org-logs", "prefix": "AWSLogs/s"}},
        "state: s3://org-logs/AWSLogs/s lies in AWSLogs of sources[0]",
    ),
    (
        {"dataset.create": True, "dataset.region": "eu-west-1"},
        "dataset.create: a bucket is created",
    ),
    (
        {"dataset.create": True, "dataset.account": "111122223333"},
        "dataset.create: a bucket is",
    ),
    ({"state.create": True, "state.region": "eu-west-1"}, "state.create: a bucket is created"),
    (
        {"dataset.create": True, "dataset.bucket": "org-logs"},
        "dataset.create: org-logs is a source",
    ),
    (
        {"state": {"bucket": "lake", "prefix": "x", "create": True}},
        "state.create: it lies in the dataset's bucket; give dataset.create instead",
    ),
    (
        {
            "backfill_queue": {"enabled": True, "max_concurrency": 5},
            "function.reserved_concurrency": 5,
        },
        "backfill_queue.max_concurrency = 5: it has to be less than function.reserved_c",
    ),
    (
        {"catalogue.enabled": True, "catalogue.create_database": False},
        "catalogue.database: has to be given where catalogue.create_database = false",
    ),
    (
        {**WORKGROUP, "catalogue.regions": ["eu-west-1"]},
        "catalogue.accounts: has to be given with catalogue.workgroup, whose queries look for",
    ),
    (
        {**WORKGROUP, "catalogue.accounts": ["111122223333"]},
        "catalogue.regions: has to be given with catalogue.workgroup",
    ),
    (
        {
            **WORKGROUP_OF_DT,
            "catalogue.workgroup.bucket": "lake",
            "catalogue.workgroup.prefix": "cloudtrail/athena",
        },
        "catalogue.workgroup.prefix: s3://lake/cloudtrail/athena lies in the dataset, s3:",
    ),
    (
        {
            **WORKGROUP_OF_DT,
            "catalogue.workgroup.bucket": "lake",
            "catalogue.workgroup.prefix": "cloudtrail.state",
        },
        "catalogue.workgroup.prefix: s3://lake/cloudtrail.state lies in the state, s3://",
    ),
    (
        {
            **WORKGROUP_OF_DT,
            "catalogue.workgroup.kms_key": KEY.replace("eu-central-1", "us-east-1"),
        },
        "catalogue.workgroup.kms_key: it is in us-east-1, and has to be in eu-central-1",
    ),
    (
        {"catalogue.enabled": True, "converter.json_encoding": "variant"},
        "catalogue.enabled: Athena cannot read",
    ),
    (
        {"catalogue.accounts": ["012345678901"], "converter.partition_layout": "dt"},
        "catalogue.accounts: account is a column of the files with converter.partition_",
    ),
    (
        {"catalogue.regions": ["eu-west-1"], "converter.partition_layout": "account/dt"},
        "catalogue.regions: region is a column of the files",
    ),
    ({"converter.part_bytes": 67_108_865}, "converter.part_bytes = 67,108,865: a bucket takes"),
    ({"sources[].region": "cn-north-1"}, "sources[0].region: cn-north-1 is in aws-cn"),
    ({"dataset.region": "us-gov-west-1"}, "dataset.region: us-gov-west-1 is in aws-us-gov"),
    ({"state.region": "us-gov-west-1"}, "state.region: us-gov-west-1 is in aws-us-gov"),
    ({"backend.region": "cn-north-1"}, "backend.region: cn-north-1 is in aws-cn"),
    (
        {"catalogue.regions": ["eu-west-1", "cn-north-1"]},
        "catalogue.regions[1]: cn-north-1 is in",
    ),
    ({"region": "cn-north-1", "kms_key": KEY}, "kms_key: it is in the partition aws, and cn-"),
    (
        {"region": "cn-north-1", "alarms.topic": TOPIC},
        "alarms.topic: it is in the partition aws",
    ),
    (
        {"iam.permissions_boundary": BOUNDARY.replace("aws", "aws-cn")},
        "iam.permissions_boundary: it is in the partition aws-cn",
    ),
    (
        {"iam.permissions_boundary": BOUNDARY, "account": "012345678901"},
        "iam.permissions_boundary: it has to be in the account of the roles",
    ),
    (
        {"region": "eu-west-1", "kms_key": KEY},
        "kms_key: it is in eu-central-1, and has to be in eu-",
    ),
    (
        {"region": "eu-west-1", "alarms.topic": TOPIC},
        "alarms.topic: it is in eu-central-1, and has",
    ),
    (
        {"sources[].region": "us-east-1", "sources[].kms_keys": [KEY]},
        "sources[0].kms_keys[0]: it is in eu-central-1, and has to be in us-east-1",
    ),
    (
        {"dataset.region": "us-east-1", "dataset.kms_key": KEY},
        "dataset.kms_key: it is in eu-central",
    ),
    (
        {"state.region": "us-east-1", "state.kms_key": KEY},
        "state.kms_key: it is in eu-central-1",
    ),
    (
        {"backend.region": "us-east-1", "backend.kms_key": KEY},
        "backend.kms_key: it is in eu-cent",
    ),
    ({"schedule.daily": "cron(0 2 * * ? *)"}, "schedule.daily: cron(0 2 * * ? *) runs before"),
    ({"dataset.prevent_destroy": True}, "dataset.prevent_destroy: lake is not created here"),
    ({"state.prevent_destroy": True}, "state.prevent_destroy: lake-state is not created here"),
    ({"dataset.readers": [ROLE]}, "dataset.readers: lake is not created here"),
    ({"dataset.tiers": {"GLACIER_IR": 90}}, "dataset.tiers: lake is not created here"),
    ({"dataset.expire_days": 400}, "dataset.expire_days: lake is not created here"),
    (
        {
            "dataset.create": True,
            "dataset.readers": ["012345678901", ROLE.replace("aws", "aws-cn")],
        },
        "dataset.readers[1]: it is in the partition aws-cn",
    ),
    (
        {"dataset.create": True, "dataset.tiers": {"STANDARD_IA": 29}},
        "dataset.tiers.STANDARD_IA = 29: S3 takes 30 days or more",
    ),
    (
        {"dataset.create": True, "dataset.tiers": {"STANDARD_IA": 30, "GLACIER_IR": 59}},
        "dataset.tiers.GLACIER_IR = 59: it has to be 30 days or more after STANDARD_IA = 30",
    ),
    (
        {"dataset.create": True, "dataset.tiers": {"INTELLIGENT_TIERING": 1, "GLACIER_IR": 59}},
        "dataset.tiers: INTELLIGENT_TIERING moves parts by itself",
    ),
    (
        {"dataset.create": True, "dataset.tiers": {"GLACIER_IR": 90}, "dataset.expire_days": 90},
        "dataset.expire_days = 90: it has to be more than those of dataset.tiers, 90",
    ),
    (
        {"dataset.create": True, "dataset.expire_days": 35},
        "dataset.expire_days = 35: it has to be more than schedule.catch_up_days = 35",
    ),
    (
        {"dataset.create": True, "dataset.expire_days": 366, "schedule.expire_after": "1y"},
        "dataset.expire_days = 366: it has to be more than schedule.expire_after = 1y",
    ),
    (
        {"assume_role": ROLE, "account": "012345678901"},
        "assume_role: it has to be in the account that is deployed to, 012345678901",
    ),
    (
        {"backend.assume_role": ROLE.replace("aws", "aws-cn")},
        "backend.assume_role: it is in the partition aws-cn",
    ),
    ({"schedule.catch_up_days": 4}, "schedule.catch_up_days = 4: the daily run looks at 4"),
    ({"schedule.daily": "rate(7 days)"}, "schedule.daily: rate(7 days) does not run at least"),
    ({"converter.lookahead_s": 36_000}, "schedule.daily: cron(15 3 * * ? *) runs before 11:00"),
    (
        {"converter.discard": [{"name": "many", "eventName": ["x" * 99] * 40}]},
        "converter: the function's environment would take",
    ),
]
"""Changes that contradict each other or the rest of a file, and how their line begins."""


@pytest.mark.parametrize(("changes", "expected"), CONTRADICTIONS)
def test_a_contradiction_is_refused_by_the_name_of_a_field(
    changes: dict[str, Any], expected: str
) -> None:
    lines = problems(changed(changes))

    assert any(line.startswith(f"a.toml: {expected}") for line in lines), lines


@pytest.mark.parametrize(("changes", "expected"), CONTRADICTIONS)
def test_a_contradiction_is_told_beside_other_mistakes(
    changes: dict[str, Any], expected: str
) -> None:
    alone = problems(changed(changes))
    mistakes = {"tags": {"a": "%"}, "alarms.dashboard": 3, "regoin": "x", "converter.page_rows": 0}

    lines = problems(changed({**mistakes, **changes}))

    assert sorted(line.split(" ")[1].rstrip(":") for line in set(lines) - set(alone)) == [
        "alarms.dashboard",
        "converter",
        "regoin",
        "tags.a",
    ]
    assert set(alone) - set(lines) == set(), expected


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"schedule.dayly": "cron(0 9 * * ? *)", "converter.lookahead_s": 20_000}, ["schedule"]),
        ({"schedule.daily": "cron(0 2 * * ? *)", "converter.lookahed_s": 0}, ["converter"]),
        ({"dataset.prefix": "a b", "state": {"bucket": "lake", "prefix": "s"}}, ["dataset"]),
        ({"sources": [{"bucket": "lake", "prefix": "*"}, {"bucket": "lake"}]}, ["sources[0]"]),
        ({"sources": [3, SOURCE, SOURCE]}, ["sources[0]"]),
        (
            {"backfill_queue": {"enabled": True, "max_concurrency": 1}}
            | {"function.reserved_concurrency": 2},
            ["backfill_queue"],
        ),
    ],
)
def test_nothing_is_told_that_follows_from_a_mistake(
    changes: dict[str, Any], fields: list[str]
) -> None:
    lines = problems(changed(changes))

    assert [re.split("[.: ]", line.removeprefix("a.toml: "))[0] for line in lines] == fields


def test_a_contradiction_is_told_once() -> None:
    assert len(problems(table(sources=[SOURCE, SOURCE]))) == 1
    among = {"bucket": "org-logs", "prefix": "AWSLogs/parquet"}
    assert len(problems(table(dataset=among))) == 1
    assert len(problems(table(dataset__kms_key=KEY, dataset__region="us-east-1"))) == 1
    assert problem(converter__discard=[{"name": "a", "eventName": ["x" * 99] * 40}]).endswith(
        "shorten CLOUDTRAIL_PARQUET_DISCARD"
    )


def test_a_bucket_of_several_folders_has_one_region_and_owner() -> None:
    logs = [{**SOURCE, "prefix": "a", "account": "111122223333"}, {**SOURCE, "prefix": "b"}]
    there = {"bucket": "org-logs", "prefix": "lake", "region": "eu-central-1"}

    assert read(table(sources=logs, dataset=there))
    (line,) = problems(table(sources=[*logs, {**SOURCE, "prefix": "c", "region": "us-east-1"}]))
    said = "the region of org-logs is us-east-1 here, and eu-central-1 in sources[0]"
    assert line == f"a.toml: sources[2]: {said}"


def test_neighbours_are_no_contradiction() -> None:
    sources = [{**SOURCE, "prefix": "a"}, {**SOURCE, "prefix": "ab"}, {"bucket": "org-logs2"}]

    (environment,) = read(table(sources=sources, state={"bucket": "lake", "prefix": "cloudtrail2"}))

    assert len(environment.sources) == 3
    for prefix in ("AWSLogs.parquet", "AWSLogs-parquet", "lake/AWSLogs/parquet"):
        logs = [{**SOURCE, "prefix": "AWSLogs"}]
        assert read(table(sources=logs, dataset={"bucket": "org-logs", "prefix": prefix}))


@pytest.mark.parametrize(
    ("region", "partition"), [("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn")]
)
def test_other_partitions_have_keys_topics_and_policies_of_their_own(
    region: str, partition: str
) -> None:
    def there(arn: str) -> str:
        return arn.replace("arn:aws:", f"arn:{partition}:").replace("eu-central-1", region)

    changes = {
        "region": region,
        "kms_key": there(KEY),
        "alarms.topic": there(TOPIC),
        "iam.permissions_boundary": there(BOUNDARY),
        "sources[].kms_keys": [there(KEY)],
        "dataset.kms_key": there(KEY),
        "backend.region": region,
        "backend.kms_key": there(KEY),
    }

    assert read(changed(changes))


@pytest.mark.parametrize(
    ("daily", "converter", "said"),
    [
        ("cron(59 2 * * ? *)", {}, "before 03:00"),
        ("cron(15 3 * * ? *)", {"lookahead_s": 21_600}, "before 07:00"),
        ("cron(15 3 * * ? *)", {"lookahead_s": 7 * 86_400, "settle_margin_s": 15_000}, "04:10"),
        ("cron(0 4 ? * MON *)", {}, "at least every 3 days"),
        ("rate(4 days)", {}, "at least every 3 days"),
        ("cron(0 4 1 * ? *)", {}, "at least every 3 days"),
    ],
)
def test_a_daily_run_that_comes_too_early_or_seldom_is_refused(
    daily: str, converter: dict[str, int], said: str
) -> None:
    (line,) = schedule_conflicts(scheduled(daily, **converter))

    assert said in line


@pytest.mark.parametrize(
    ("daily", "converter"),
    [
        ("cron(0 3 * * ? *)", {}),
        ("cron(0 * * * ? *)", {}),
        ("cron(15 3 * * ? *)", {"lookahead_s": 7 * 86_400}),
        ("cron(0 0 * * ? *)", {"lookahead_s": 0, "settle_margin_s": 0}),
        ("cron(59 23 * * ? *)", {"lookahead_s": 86_399, "settle_margin_s": 0}),
        ("cron(0 4 ? * MON-FRI *)", {}),
        ("rate(3 days)", {}),
    ],
)
def test_any_other_daily_run_is_legal(daily: str, converter: dict[str, int]) -> None:
    assert schedule_conflicts(scheduled(daily, **converter)) == []
