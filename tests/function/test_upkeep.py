"""A dataset that the function rewrites, and of which it removes old days; no log is read."""

import json
from collections import Counter
from pathlib import Path

import pytest

from cloudtrail_parquet.backfill import message_queue, sending, survey
from cloudtrail_parquet.dataset.export import export_records
from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from cloudtrail_parquet.storage import open_store
from tests.builders import ago
from tests.end_to_end.program import run
from tests.function.conftest import Deploy
from tests.function.deployment import Deployment
from tests.s3.faults import error


@pytest.fixture(scope="module")
def converted(deploy: Deploy, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """A dataset, some of whose days are more than a month old; its log files are gone."""
    folder, deployed = tmp_path_factory.mktemp("logs"), deploy()
    generate_tree(folder, TreeSpec(accounts=2, regions=2, days=4, records=300, first_day=ago(34)))
    deployed.upload(folder)
    box = deployed.start(CLOUDTRAIL_PARQUET_DISPATCH="inline")
    assert box.invoke({"kind": "plan", "from": str(ago(35)), "to": str(ago(29))}).ok
    deployed.remove("logs")
    return deployed


def exported(deployed: Deployment, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    for name, value in deployed.environment.items():
        monkeypatch.setenv(name, value)
    return Counter(export_records(open_store(deployed.environment["CLOUDTRAIL_PARQUET_DATASET"])))


def test_a_dataset_is_rewritten_by_the_queue_and_old_days_expire(
    converted: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = exported(converted, monkeypatch)
    converted.proxy.add(error(403, "AccessDenied", path=f"/{converted.buckets['logs']}.*"))
    environment = converted.environment
    dataset, state = (environment[f"CLOUDTRAIL_PARQUET_{name}"] for name in ("DATASET", "STATE"))
    monkeypatch.setattr(message_queue, "_WAIT_S", 0)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for module in (sending, survey):
        monkeypatch.setattr(module, "BATCH_S", 4)  # three units a message
    place = (dataset, "--state", state)
    box = converted.start(CLOUDTRAIL_PARQUET_COMPRESSION="gzip")

    sent = run("backfill", "--rewrite", *place, "--compression", "gzip", "--yes", "--json")
    assert sent.returncode == 0, sent.stderr
    told = json.loads(sent.stdout)
    assert told["messages"] == told["sent"] > 2
    carried = converted.map_queue(box.invoke)

    assert all(one.outcomes[0].payload == {"batchItemFailures": []} for one in carried)
    assert {each.settings["compression"] for each in converted.receipts()} == {"gzip"}
    assert exported(converted, monkeypatch) == before
    watched = run("backfill", "status", *place, "--json")
    facts = json.loads(watched.stdout)
    assert (facts["kind"], facts["planned"], facts["done"]) == (
        "rewrite",
        told["units"],
        told["units"],
    )
    again = run("backfill", "rewrite", *place, "--compression", "gzip", "--yes")
    assert again.stderr == "up to date: nothing to rewrite\n"

    expired = box.invoke({"kind": "expire", "older_than": "31d"})

    assert expired.payload["expired"] > 0
    days = {Path(key).parent.name for key in converted.objects("lake")}
    assert f"day={ago(31).day:02d}" in days
    assert days <= {f"day={ago(number).day:02d}" for number in (31, 30)}
    assert box.invoke({"kind": "expire", "older_than": "31d"}).payload["expired"] == 0
    assert converted.litter() == []


def test_a_whole_dataset_is_rewritten_by_an_event_of_its_own(
    deploy: Deploy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed = deploy()
    generate_tree(tmp_path, TreeSpec(accounts=1, regions=5, days=3, records=200, first_day=ago(9)))
    deployed.upload(tmp_path)
    box = deployed.start(CLOUDTRAIL_PARQUET_DISPATCH="inline")
    assert box.invoke({"kind": "plan", "from": str(ago(10)), "to": str(ago(5))}).ok
    before = exported(deployed, monkeypatch)
    other = deployed.start(CLOUDTRAIL_PARQUET_JSON_ENCODING="json")

    planned = other.invoke({"kind": "rewrite"}, 32)  # batches of eight units
    deployed.carry_events(other.invoke)

    assert planned.payload["batches"] > 0
    assert {each.settings["json_encoding"] for each in deployed.receipts()} == {"json"}
    assert exported(deployed, monkeypatch) == before
    assert deployed.failed == []
