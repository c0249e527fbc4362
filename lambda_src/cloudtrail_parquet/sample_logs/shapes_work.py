"""Generated events of everyday work: S3, Lambda, DynamoDB and the services around them.

Real reads are of what exists: about half of those here are of objects that all programs read, or
that were put or read before, and such an object keeps its size. What is put is new.
"""

from random import Random

import msgspec

from cloudtrail_parquet.sample_logs.calls import (
    DATA_EVENTS_SINCE,
    Call,
    Event,
    Share,
    simple,
)
from cloudtrail_parquet.sample_logs.draws import (
    Json,
    base64_text,
    chance,
    favour,
    hex_text,
    pick,
    uuid_text,
)
from cloudtrail_parquet.sample_logs.fleet import Stock, famous
from cloudtrail_parquet.sample_logs.resources import S3Object

_FLOATS_UNTIL = 7  # before 1.08, data events wrote their integers as 2.0


def _new_object(rng: Random, largest: int) -> S3Object:
    draw, size = rng.random(), int(rng.random() * largest)
    if draw < 0.02:  # noqa: PLR2004 - names from outside the English alphabet
        return S3Object(f"rapports/été/résumé-{hex_text(rng, 12)}.pdf", size)
    if draw < 0.04:  # noqa: PLR2004
        return S3Object(f"exports/R&D/<draft>/{uuid_text(rng)}.json", size)
    part = f"part-{rng.randrange(10**5):05d}-{hex_text(rng, 16)}"
    return S3Object(f"raw/{rng.randrange(1, 32):02d}/{part}.parquet", size)


def _object_to_read(rng: Random, objects: Stock[S3Object]) -> S3Object:
    draw = rng.random()
    if draw < 0.2:  # noqa: PLR2004
        return famous(rng)
    if draw < 0.55 and objects.items:  # noqa: PLR2004
        return pick(rng, objects.items)
    existing = _new_object(rng, 10**7)  # put before the first event
    objects.add(rng, existing)
    return existing


def _s3_extra(call: Call, bytes_in: int, bytes_out: int) -> Json:
    old = call.version <= _FLOATS_UNTIL
    return {
        "SignatureVersion": "SigV4",
        "CipherSuite": "TLS_AES_128_GCM_SHA256",
        "bytesTransferredIn": float(bytes_in) if old else bytes_in,
        "AuthenticationMethod": "AuthHeader",
        "x-amz-id-2": base64_text(call.rng, 56),
        "bytesTransferredOut": float(bytes_out) if old else bytes_out,
    }


def _s3(call: Call, name: str, bucket: str, request: Json, sizes: tuple[int, int]) -> Event:
    where = {"bucketName": bucket, "Host": f"{bucket}.s3.{call.site.region}.amazonaws.com"}
    target = f"arn:aws:s3:::{bucket}"
    part = f"{target}/{request.get('key', request.get('prefix', ''))}"
    return Event(
        by=call.caller(),
        service="s3",
        name=name,
        request={**where, **request},
        data=True,
        extra=_s3_extra(call, *sizes),
        resources=[
            {"type": "AWS::S3::Object", "ARN" if "key" in request else "ARNPrefix": part},
            {"accountId": call.site.account, "type": "AWS::S3::Bucket", "ARN": target},
        ],
    )


def _get_object(call: Call) -> Event:
    bucket, objects = favour(call.rng, call.fleet.buckets)
    key, size = _object_to_read(call.rng, objects)
    event = _s3(call, "GetObject", bucket, {"key": key}, (0, size))
    if chance(call.rng, 0.03):
        event.error = ("AccessDenied", "Access Denied")
    return event


def _put_object(call: Call) -> Event:
    bucket, objects = favour(call.rng, call.fleet.buckets)
    put = _new_object(call.rng, 10**8)
    objects.add(call.rng, put)
    request: Json = {"key": put.key, "x-amz-storage-class": "STANDARD"}
    event = _s3(call, "PutObject", bucket, request, (put.size, 0))
    event.read_only = False
    event.response = {
        "x-amz-server-side-encryption": "AES256",
        "x-amz-version-id": base64_text(call.rng, 24),
    }
    return event


def _delete_object(call: Call) -> Event:
    bucket, objects = favour(call.rng, call.fleet.buckets)
    known = objects.items and chance(call.rng, 0.5)
    gone = objects.take(call.rng) if known else _new_object(call.rng, 0)
    event = _s3(call, "DeleteObject", bucket, {"key": gone.key}, (0, 0))
    event.read_only = False
    return event


def _list_objects(call: Call) -> Event:
    bucket, _ = favour(call.rng, call.fleet.buckets)
    day = call.rng.randrange(1, 32)
    request: Json = {
        "list-type": "2",
        "prefix": f"raw/{day:02d}/" if chance(call.rng, 0.7) else "reference/customers/",
        "max-keys": "1000",
        "encoding-type": "url",
    }
    return _s3(call, "ListObjects", bucket, request, (0, call.rng.randrange(10**5)))


def _head_bucket(call: Call) -> Event:
    bucket, _ = favour(call.rng, call.fleet.buckets)
    event = _s3(call, "HeadBucket", bucket, {}, (0, 0))
    event.data = False
    event.resources = None
    return event


def _invoke(call: Call) -> Event:
    name, interfaces = favour(call.rng, call.fleet.functions)
    arn = call.arn("lambda", f"function:{name}")
    return Event(
        by=call.caller(),
        service="lambda",
        name="Invoke",
        request={
            "functionName": arn,
            "invocationType": pick(call.rng, ("RequestResponse", "Event")),
        },
        extra={"customerEniId": pick(call.rng, interfaces)} if interfaces else None,
        read_only=False,
        data=True,
        resources=[{"accountId": call.site.account, "type": "AWS::Lambda::Function", "ARN": arn}],
    )


def _create_function(call: Call) -> Event:
    name = f"{pick(call.rng, call.fleet.functions).name}-{hex_text(call.rng, 6)}"
    settings: Json = {
        "functionName": name,
        "runtime": "python3.13",
        "memorySize": 512,
        "timeout": 30,
    }
    response: Json = {
        **settings,
        "functionArn": call.arn("lambda", f"function:{name}"),
        "codeSha256": base64_text(call.rng, 32),
        "revisionId": uuid_text(call.rng),
        "state": "Pending",
    }
    return Event(
        by=call.caller(),
        service="lambda",
        name="CreateFunction20150331",
        request={**settings, "code": {}, "publish": False, "environment": {}},
        response=response,
        read_only=False,
        api_version="2015-03-31",
    )


def _item_key(rng: Random, items: Stock[object]) -> object:
    if items.items and chance(rng, 0.5):
        return pick(rng, items.items)
    number = msgspec.Raw(str(rng.randrange(10**19, 2 * 10**19)).encode())  # 20 digits: past 2**63
    key = number if chance(rng, 0.1) else hex_text(rng, 24)
    items.add(rng, key)
    return key


def _dynamodb(call: Call) -> Event:
    rng = call.rng
    name, read_only = pick(
        rng, (("GetItem", True), ("PutItem", False), ("Query", True), ("DeleteItem", False))
    )
    table, items = favour(rng, call.fleet.tables)
    key = {"id": _item_key(rng, items)}
    arn = call.arn("dynamodb", f"table/{table}")
    return Event(
        by=call.caller(),
        service="dynamodb",
        name=name,
        request={"tableName": table, "key": key, "returnConsumedCapacity": "TOTAL"},
        read_only=read_only,
        data=True,
        resources=[{"accountId": call.site.account, "type": "AWS::DynamoDB::Table", "ARN": arn}],
        api_version="2012-08-10",
    )


def _get_parameters(call: Call) -> Event:
    names = favour(call.rng, call.fleet.parameters)
    return simple(call, "ssm", "GetParameters", {"names": names, "withDecryption": True})


def _create_log_stream(call: Call) -> Event:
    function = favour(call.rng, call.fleet.functions).name
    stream = f"{call.when:%Y/%m/%d}/[$LATEST]{hex_text(call.rng, 32)}"
    request: Json = {"logGroupName": f"/aws/lambda/{function}", "logStreamName": stream}
    event = simple(call, "logs", "CreateLogStream", request)
    event.read_only, event.api_version = False, "20140328"
    return event


def _describe_log_groups(call: Call) -> Event:
    request: Json = {"logGroupNamePrefix": favour(call.rng, call.fleet.log_groups), "limit": 50}
    event = simple(call, "logs", "DescribeLogGroups", request)
    event.api_version = "20140328"
    return event


def _put_metric_alarm(call: Call) -> Event:
    cents = call.rng.randrange(1000)
    request: Json = {
        "alarmName": favour(call.rng, call.fleet.alarms),
        "comparisonOperator": "GreaterThanThreshold",
        "threshold": msgspec.Raw(f"{cents // 10}.{cents % 10}0".encode()),  # such as 1.10
        "period": 60,
    }
    event = simple(call, "monitoring", "PutMetricAlarm", request)
    event.read_only = False
    return event


def _get_authorization_token(call: Call) -> Event:
    return simple(call, "ecr", "GetAuthorizationToken", None)


def _batch_get_image(call: Call) -> Event:
    repository, digests = favour(call.rng, call.fleet.repositories)
    images = [{"imageDigest": favour(call.rng, digests)}]
    request: Json = {
        "repositoryName": repository,
        "imageIds": images,
        "registryId": call.site.account,
    }
    event = simple(call, "ecr", "BatchGetImage", request)
    arn = call.arn("ecr", f"repository/{repository}")
    event.resources = [{"accountId": call.site.account, "ARN": arn}]
    return event


def _describe_db_instances(call: Call) -> Event:
    name = favour(call.rng, call.fleet.databases).name
    return simple(call, "rds", "DescribeDBInstances", {"dBInstanceIdentifier": name})


def _modify_db_instance(call: Call) -> Event:
    name, resource_id = favour(call.rng, call.fleet.databases)
    request: Json = {
        "dBInstanceIdentifier": name,
        "masterUserPassword": "****",
        "applyImmediately": True,
        "allowMajorVersionUpgrade": False,
    }
    event = simple(call, "rds", "ModifyDBInstance", request)
    event.response = {"dBInstanceIdentifier": name, "dbiResourceId": resource_id}
    event.read_only = False
    return event


ENTRIES = (
    Share(80, _get_object, since=DATA_EVENTS_SINCE),
    Share(40, _put_object, since=DATA_EVENTS_SINCE),
    Share(15, _delete_object, since=DATA_EVENTS_SINCE),
    Share(25, _list_objects, since=DATA_EVENTS_SINCE),
    Share(15, _head_bucket),
    Share(60, _invoke, since=DATA_EVENTS_SINCE),
    Share(2, _create_function),
    Share(60, _dynamodb, since=DATA_EVENTS_SINCE),
    Share(20, _get_parameters),
    Share(30, _create_log_stream),
    Share(10, _describe_log_groups),
    Share(4, _put_metric_alarm),
    Share(20, _get_authorization_token),
    Share(15, _batch_get_image),
    Share(25, _describe_db_instances),
    Share(2, _modify_db_instance),
)
