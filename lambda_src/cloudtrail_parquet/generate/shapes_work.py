"""Generated events of everyday work: EC2, S3, Lambda, DynamoDB and the services around them."""

from random import Random

import msgspec

from cloudtrail_parquet.generate.actors import (
    Json,
    base64_text,
    chance,
    hex_text,
    id_text,
    pick,
    uuid_text,
)
from cloudtrail_parquet.generate.calls import (
    DATA_EVENTS_SINCE,
    Call,
    Entry,
    Event,
    denied,
    simple,
)

_FLOATS_UNTIL = 7  # before 1.08, data events wrote their integers as 2.0


def _instance(rng: Random) -> str:
    return f"i-{hex_text(rng, 17)}"


def _ec2(call: Call, name: str, request: Json) -> Event:
    return simple(call, "ec2", name, request)


def _ec2_change(call: Call, name: str, request: Json, response: Json | None) -> Event:
    event = simple(call, "ec2", name, request)
    event.response, event.read_only = response, False
    return event


def _describe_instances(call: Call) -> Event:
    items = [{"instanceId": _instance(call.rng)} for _ in range(call.rng.randrange(1, 4))]
    return _ec2(call, "DescribeInstances", {"instancesSet": {"items": items}, "filterSet": {}})


def _describe_by_filter(call: Call) -> Event:
    name, key, kind = pick(
        call.rng,
        (
            ("DescribeSecurityGroups", "vpc-id", "vpc"),
            ("DescribeNetworkInterfaces", "subnet-id", "subnet"),
            ("DescribeVolumes", "attachment.instance-id", "i"),
            ("DescribeSubnets", "vpc-id", "vpc"),
            ("DescribeTags", "resource-id", "i"),
        ),
    )
    value = f"{kind}-{hex_text(call.rng, 17)}"
    items = [{"name": key, "valueSet": {"items": [{"value": value}]}}]
    return _ec2(call, name, {"maxResults": 1000, "filterSet": {"items": items}})


def _run_instances_request(call: Call) -> Json:
    rng = call.rng
    image = {"imageId": f"ami-{hex_text(rng, 17)}", "minCount": 1, "maxCount": rng.randrange(1, 9)}
    owner = (
        pick(rng, ("Zoë Brûlé", "运维", "Søren", "nightly", "batch"))
        if chance(rng, 0.3)
        else "batch"
    )
    tags = [{"key": "owner", "value": owner}, {"key": "run", "value": hex_text(rng, 8)}]
    return {
        "instancesSet": {"items": [image]},
        "instanceType": pick(rng, ("m7g.large", "c7i.xlarge", "r6a.2xlarge", "t4g.small")),
        "blockDeviceMapping": {},
        "userData": "<sensitiveDataRemoved>",
        "subnetId": f"subnet-{hex_text(rng, 17)}",
        "monitoring": {"enabled": chance(rng, 0.5)},
        "disableApiTermination": False,
        "clientToken": uuid_text(rng),
        "tagSpecificationSet": {"items": [{"resourceType": "instance", "tags": tags}]},
    }


def _run_instances(call: Call) -> Event:
    rng = call.rng
    instance = {
        "instanceId": _instance(rng),
        "instanceState": {"code": 0, "name": "pending"},
        "privateIpAddress": f"10.0.{rng.randrange(256)}.{rng.randrange(256)}",
        "launchTime": int(call.when.timestamp()) * 1000,
        "hypervisor": "xen",
    }
    response: Json = {
        "requestId": uuid_text(rng),
        "reservationId": f"r-{hex_text(rng, 17)}",
        "ownerId": call.site.account,
        "instancesSet": {"items": [instance]},
    }
    request = _run_instances_request(call)
    return _ec2_change(call, "RunInstances", request, response)


def _run_instances_denied(call: Call) -> Event:
    event = _ec2_change(call, "RunInstances", _run_instances_request(call), None)
    message = denied(call, event.by, "ec2:RunInstances", call.arn("ec2", "instance/*"))
    proof = base64_text(call.rng, 450)
    text = (
        f"You are not authorized to perform this operation. {message}. "
        f"Encoded authorization failure message: {proof}"
    )
    event.error = ("Client.UnauthorizedOperation", text[:1024])  # the field's limit is 1 KB
    return event


def _terminate_instances(call: Call) -> Event:
    target = _instance(call.rng)
    state = {
        "instanceId": target,
        "currentState": {"code": 32, "name": "shutting-down"},
        "previousState": {"code": 16, "name": "running"},
    }
    return _ec2_change(
        call,
        "TerminateInstances",
        {"instancesSet": {"items": [{"instanceId": target}]}},
        {"requestId": uuid_text(call.rng), "instancesSet": {"items": [state]}},
    )


def _open_port(call: Call) -> Event:
    permission = {
        "ipProtocol": "tcp",
        "fromPort": 443,
        "toPort": 443,
        "ipRanges": {
            "items": [
                {"cidrIp": f"10.{call.rng.randrange(256)}.0.0/16", "description": "web & api"}
            ]
        },
    }
    request: Json = {
        "groupId": f"sg-{hex_text(call.rng, 17)}",
        "ipPermissions": {"items": [permission]},
    }
    response: Json = {"requestId": uuid_text(call.rng), "_return": True}
    return _ec2_change(call, "AuthorizeSecurityGroupIngress", request, response)


def _s3_key(rng: Random) -> str:
    draw = rng.random()
    if draw < 0.02:  # noqa: PLR2004 - names from outside the English alphabet
        return f"rapports/été/résumé-{hex_text(rng, 12)}.pdf"
    if draw < 0.04:  # noqa: PLR2004
        return f"exports/R&D/<draft>/{uuid_text(rng)}.json"
    part = f"part-{rng.randrange(10**5):05d}-{hex_text(rng, 16)}"
    return f"raw/{rng.randrange(1, 32):02d}/{part}.parquet"


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


def _s3(call: Call, name: str, request: Json, sizes: tuple[int, int]) -> Event:
    bucket = pick(call.rng, call.site.buckets)
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
    event = _s3(call, "GetObject", {"key": _s3_key(call.rng)}, (0, call.rng.randrange(10**7)))
    if chance(call.rng, 0.03):
        event.error = ("AccessDenied", "Access Denied")
    return event


def _put_object(call: Call) -> Event:
    request: Json = {"key": _s3_key(call.rng), "x-amz-storage-class": "STANDARD"}
    event = _s3(call, "PutObject", request, (call.rng.randrange(10**8), 0))
    event.read_only = False
    event.response = {
        "x-amz-server-side-encryption": "AES256",
        "x-amz-version-id": base64_text(call.rng, 24),
    }
    return event


def _delete_object(call: Call) -> Event:
    event = _s3(call, "DeleteObject", {"key": _s3_key(call.rng)}, (0, 0))
    event.read_only = False
    return event


def _list_objects(call: Call) -> Event:
    request: Json = {
        "list-type": "2",
        "prefix": f"raw/{hex_text(call.rng, 4)}/",
        "max-keys": "1000",
        "encoding-type": "url",
    }
    return _s3(call, "ListObjects", request, (0, call.rng.randrange(10**5)))


def _head_bucket(call: Call) -> Event:
    event = _s3(call, "HeadBucket", {}, (0, 0))
    event.data = False
    event.resources = None
    return event


def _invoke(call: Call) -> Event:
    arn = call.arn("lambda", f"function:{pick(call.rng, call.site.functions)}")
    return Event(
        by=call.caller(),
        service="lambda",
        name="Invoke",
        request={
            "functionName": arn,
            "invocationType": pick(call.rng, ("RequestResponse", "Event")),
        },
        extra={"customerEniId": f"eni-{hex_text(call.rng, 17)}"},
        read_only=False,
        data=True,
        resources=[{"accountId": call.site.account, "type": "AWS::Lambda::Function", "ARN": arn}],
    )


def _create_function(call: Call) -> Event:
    name = f"{pick(call.rng, call.site.functions)}-{hex_text(call.rng, 6)}"
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


def _dynamodb(call: Call) -> Event:
    rng = call.rng
    name, read_only = pick(
        rng, (("GetItem", True), ("PutItem", False), ("Query", True), ("DeleteItem", False))
    )
    table = pick(rng, call.site.tables)
    number = msgspec.Raw(str(rng.randrange(10**19, 2 * 10**19)).encode())  # 20 digits: past 2**63
    key: Json = {"id": number} if chance(rng, 0.1) else {"id": hex_text(rng, 24)}
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
    names = [
        f"/app/{pick(call.rng, call.site.functions)}/{hex_text(call.rng, 6)}" for _ in range(3)
    ]
    return simple(call, "ssm", "GetParameters", {"names": names, "withDecryption": True})


def _update_instance_information(call: Call) -> Event:
    request: Json = {
        "instanceId": _instance(call.rng),
        "agentVersion": "3.3.1345.0",
        "agentStatus": "Active",
        "platformType": "Linux",
        "computerName": f"ip-10-0-{call.rng.randrange(256)}-{call.rng.randrange(256)}.ec2.internal",
        "agentName": "amazon-ssm-agent",
    }
    return Event(
        by=call.site.role_session(call.rng, call.when),
        service="ssm",
        name="UpdateInstanceInformation",
        request=request,
        read_only=False,
    )


def _create_log_stream(call: Call) -> Event:
    function = pick(call.rng, call.site.functions)
    stream = f"{call.when:%Y/%m/%d}/[$LATEST]{hex_text(call.rng, 32)}"
    request: Json = {"logGroupName": f"/aws/lambda/{function}", "logStreamName": stream}
    event = simple(call, "logs", "CreateLogStream", request)
    event.read_only, event.api_version = False, "20140328"
    return event


def _describe_log_groups(call: Call) -> Event:
    request: Json = {"logGroupNamePrefix": f"/aws/{hex_text(call.rng, 5)}", "limit": 50}
    event = simple(call, "logs", "DescribeLogGroups", request)
    event.api_version = "20140328"
    return event


def _put_metric_alarm(call: Call) -> Event:
    cents = call.rng.randrange(1000)
    request: Json = {
        "alarmName": f"{pick(call.rng, call.site.functions)}-{hex_text(call.rng, 6)}",
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
    repository = pick(call.rng, call.site.repositories)
    images = [{"imageDigest": f"sha256:{hex_text(call.rng, 64)}"}]
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
    name = pick(call.rng, call.site.databases)
    return simple(call, "rds", "DescribeDBInstances", {"dBInstanceIdentifier": name})


def _modify_db_instance(call: Call) -> Event:
    name = pick(call.rng, call.site.databases)
    request: Json = {
        "dBInstanceIdentifier": name,
        "masterUserPassword": "****",
        "applyImmediately": True,
        "allowMajorVersionUpgrade": False,
    }
    event = simple(call, "rds", "ModifyDBInstance", request)
    event.response = {"dBInstanceIdentifier": name, "dbiResourceId": f"db-{id_text(call.rng, 26)}"}
    event.read_only = False
    return event


ENTRIES = (
    Entry(120, _describe_instances),
    Entry(100, _describe_by_filter),
    Entry(6, _run_instances),
    Entry(8, _run_instances_denied),
    Entry(4, _terminate_instances),
    Entry(2, _open_port),
    Entry(80, _get_object, since=DATA_EVENTS_SINCE),
    Entry(40, _put_object, since=DATA_EVENTS_SINCE),
    Entry(15, _delete_object, since=DATA_EVENTS_SINCE),
    Entry(25, _list_objects, since=DATA_EVENTS_SINCE),
    Entry(15, _head_bucket),
    Entry(60, _invoke, since=DATA_EVENTS_SINCE),
    Entry(2, _create_function),
    Entry(60, _dynamodb, since=DATA_EVENTS_SINCE),
    Entry(20, _get_parameters),
    Entry(25, _update_instance_information),
    Entry(30, _create_log_stream),
    Entry(10, _describe_log_groups),
    Entry(4, _put_metric_alarm),
    Entry(20, _get_authorization_token),
    Entry(15, _batch_get_image),
    Entry(25, _describe_db_instances),
    Entry(2, _modify_db_instance),
)
