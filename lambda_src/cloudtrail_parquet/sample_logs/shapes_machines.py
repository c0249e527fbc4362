"""Generated events about machines: EC2, and Systems Manager, whose agents run on them.

Nearly all of them name what the account has had for a long time (see ``fleet``). Instances that are
started here live for some hours: they are tagged and described, and then terminated.
"""

from random import Random

from cloudtrail_parquet.sample_logs.calls import Call, Event, Share, denied, simple
from cloudtrail_parquet.sample_logs.draws import (
    Json,
    base64_text,
    chance,
    favour,
    hex_text,
    pick,
    resource_id,
    uuid_text,
)
from cloudtrail_parquet.sample_logs.fleet import Fleet
from cloudtrail_parquet.sample_logs.resources import Subnet

# Calls, the filter they have, and the kind of id that it takes.
_FILTERS = (
    ("DescribeSecurityGroups", "vpc-id", "vpc"),
    ("DescribeSecurityGroups", "group-id", "sg"),
    ("DescribeNetworkInterfaces", "subnet-id", "subnet"),
    ("DescribeNetworkInterfaces", "group-id", "sg"),
    ("DescribeVolumes", "attachment.instance-id", "i"),
    ("DescribeVolumes", "volume-id", "vol"),
    ("DescribeSnapshots", "volume-id", "vol"),
    ("DescribeImages", "image-id", "ami"),
    ("DescribeSubnets", "vpc-id", "vpc"),
    ("DescribeTags", "resource-id", "i"),
)
_TYPES = ("m7g.large", "c7i.xlarge", "r6a.2xlarge", "t4g.small")


def _change(call: Call, name: str, request: Json, response: Json | None) -> Event:
    event = simple(call, "ec2", name, request)
    event.response, event.read_only = response, False
    return event


def _instance_id(rng: Random, fleet: Fleet) -> str:
    """Mostly an instance that stays, at times one of those that come and go."""
    if fleet.launched and chance(rng, 0.1):
        return pick(rng, fleet.launched)
    return favour(rng, fleet.ids["i"])


def _describe_instances(call: Call) -> Event:
    rng, draw = call.rng, call.rng.random()
    if draw < 0.1:  # noqa: PLR2004 - few ask for everything, or what runs; see the module fleet
        request: Json = {"instancesSet": {}, "filterSet": {}, "maxResults": 1000}
    elif draw < 0.15:  # noqa: PLR2004
        state = {"name": "instance-state-name", "valueSet": {"items": [{"value": "running"}]}}
        request = {"instancesSet": {}, "filterSet": {"items": [state]}, "maxResults": 1000}
    else:
        several = rng.randrange(2, 4) if draw > 0.8 else 1  # noqa: PLR2004
        items = [{"instanceId": _instance_id(rng, call.fleet)} for _ in range(several)]
        request = {"instancesSet": {"items": items}, "filterSet": {}}
    return simple(call, "ec2", "DescribeInstances", request)


def _describe_by_filter(call: Call) -> Event:
    name, key, kind = pick(call.rng, _FILTERS)
    if chance(call.rng, 0.2):
        return simple(call, "ec2", name, {"maxResults": 1000, "filterSet": {}})
    value = favour(call.rng, call.fleet.ids[kind])
    items = [{"name": key, "valueSet": {"items": [{"value": value}]}}]
    return simple(call, "ec2", name, {"maxResults": 1000, "filterSet": {"items": items}})


def _run_instances_request(call: Call, subnet: Subnet) -> Json:
    rng = call.rng
    image = {
        "imageId": favour(rng, call.fleet.ids["ami"]),
        "minCount": 1,
        "maxCount": rng.randrange(1, 9),
    }
    owner = (
        pick(rng, ("Zoë Brûlé", "运维", "Søren", "nightly", "batch"))
        if chance(rng, 0.3)
        else "batch"
    )
    tags = [{"key": "owner", "value": owner}, {"key": "run", "value": hex_text(rng, 8)}]
    return {
        "instancesSet": {"items": [image]},
        "instanceType": pick(rng, _TYPES),
        "blockDeviceMapping": {},
        "userData": "<sensitiveDataRemoved>",
        "subnetId": subnet.id,
        "monitoring": {"enabled": chance(rng, 0.5)},
        "disableApiTermination": False,
        "clientToken": uuid_text(rng),
        "tagSpecificationSet": {"items": [{"resourceType": "instance", "tags": tags}]},
    }


def _run_instances(call: Call) -> Event:
    rng, fleet = call.rng, call.fleet
    subnet = favour(rng, fleet.subnets)
    launched = resource_id(rng, "i")
    fleet.launched.append(launched)
    instance = {
        "instanceId": launched,
        "instanceState": {"code": 0, "name": "pending"},
        "privateIpAddress": subnet.address(rng),
        "subnetId": subnet.id,
        "vpcId": subnet.vpc,
        "placement": {"availabilityZone": subnet.zone, "tenancy": "default"},
        "groupSet": {"items": [{"groupId": favour(rng, fleet.ids["sg"])}]},
        "launchTime": int(call.when.timestamp()) * 1000,
        "hypervisor": "xen",
    }
    response: Json = {
        "requestId": uuid_text(rng),
        "reservationId": resource_id(rng, "r"),
        "ownerId": call.site.account,
        "instancesSet": {"items": [instance]},
    }
    return _change(call, "RunInstances", _run_instances_request(call, subnet), response)


def _run_instances_denied(call: Call) -> Event:
    request = _run_instances_request(call, favour(call.rng, call.fleet.subnets))
    event = _change(call, "RunInstances", request, None)
    message = denied(call, event.by, "ec2:RunInstances", call.arn("ec2", "instance/*"))
    proof = base64_text(call.rng, 450)
    text = (
        f"You are not authorized to perform this operation. {message}. "
        f"Encoded authorization failure message: {proof}"
    )
    event.error = ("Client.UnauthorizedOperation", text[:1024])  # the field's limit is 1 KB
    return event


def _terminate_instances(call: Call) -> Event:
    launched = call.fleet.launched
    # The oldest that was started here; else one from before the first event.
    target = launched.popleft() if launched else resource_id(call.rng, "i")
    state = {
        "instanceId": target,
        "currentState": {"code": 32, "name": "shutting-down"},
        "previousState": {"code": 16, "name": "running"},
    }
    return _change(
        call,
        "TerminateInstances",
        {"instancesSet": {"items": [{"instanceId": target}]}},
        {"requestId": uuid_text(call.rng), "instancesSet": {"items": [state]}},
    )


def _create_tags(call: Call) -> Event:
    rng, fleet = call.rng, call.fleet
    kind = pick(rng, ("i", "vol", "sg"))
    target = _instance_id(rng, fleet) if kind == "i" else favour(rng, fleet.ids[kind])
    tags = [{"key": "checked", "value": f"{call.when:%Y-%m-%d}"}]
    return _change(
        call,
        "CreateTags",
        {"resourcesSet": {"items": [{"resourceId": target}]}, "tagSet": {"items": tags}},
        {"requestId": uuid_text(rng), "_return": True},
    )


def _create_snapshot(call: Call) -> Event:
    rng, snapshot = call.rng, resource_id(call.rng, "snap")
    call.fleet.snapshots.add(rng, snapshot)
    request: Json = {"volumeId": favour(rng, call.fleet.ids["vol"]), "description": "nightly"}
    response: Json = {
        "requestId": uuid_text(rng),
        "snapshotId": snapshot,
        **request,
        "status": "pending",
        "startTime": int(call.when.timestamp()) * 1000,
        "ownerId": call.site.account,
        "volumeSize": "64",
        "encrypted": True,
    }
    return _change(call, "CreateSnapshot", request, response)


def _describe_snapshots(call: Call) -> Event:
    items = [{"snapshotId": pick(call.rng, call.fleet.snapshots.items)}]
    request: Json = {"snapshotSet": {"items": items}, "ownersSet": {}, "filterSet": {}}
    return simple(call, "ec2", "DescribeSnapshots", request)


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
        "groupId": favour(call.rng, call.fleet.ids["sg"]),
        "ipPermissions": {"items": [permission]},
    }
    response: Json = {"requestId": uuid_text(call.rng), "_return": True}
    return _change(call, "AuthorizeSecurityGroupIngress", request, response)


def _describe_instance_information(call: Call) -> Event:
    filters = [{"key": "InstanceIds", "values": [_instance_id(call.rng, call.fleet)]}]
    return simple(call, "ssm", "DescribeInstanceInformation", {"filters": filters})


def _update_instance_information(call: Call) -> Event:
    instance = pick(call.rng, call.fleet.instances)  # each at the same interval
    request: Json = {
        "instanceId": instance.id,
        "agentVersion": "3.3.1345.0",
        "agentStatus": "Active",
        "platformType": "Linux",
        "platformName": "Amazon Linux",
        "platformVersion": "2023",
        "iPAddress": "HIDDEN_DUE_TO_SECURITY_REASONS",
        "computerName": instance.computer,
        "agentName": "amazon-ssm-agent",
        "availabilityZone": instance.subnet.zone,
        "sSMConnectionChannel": "ssmmessages",
    }
    return Event(
        by=call.site.agent_session(call.rng, call.when, instance),
        service="ssm",
        name="UpdateInstanceInformation",
        request=request,
        read_only=False,
    )


ENTRIES = (
    Share(120, _describe_instances),
    Share(100, _describe_by_filter),
    Share(6, _run_instances),
    Share(8, _run_instances_denied),
    Share(4, _terminate_instances),
    Share(12, _create_tags),
    Share(6, _create_snapshot),
    Share(4, _describe_snapshots),
    Share(2, _open_port),
    Share(25, _describe_instance_information),
    Share(25, _update_instance_information),
)
