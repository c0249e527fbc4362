"""What an account has in one region, and what its calls are about again and again.

Resources outlive calls by far. What this follows, in real records (Security-Datasets, 103 of one
account within an hour; Stratus Red Team, 310 of 35 accounts, each within minutes):

- 47 of the 103 name one of two instances, which are all the instances they name.
- 112 polls with ``DescribeInstanceInformation`` ask three different things.
- Of 44 ``DescribeInstances``, 39 name instances, two filter, three ask for everything; volumes are
  mostly asked for by filter.

And in single records that others have published, and in the guides of KMS and RDS:

- An agent reports its instance in the instance's own session, which is named after it, with the
  host name that follows from its private address.
- ``keyMaterialId`` is one value for each key until it is rotated, ``customerEniId`` an interface
  of a function in a VPC; ``dbiResourceId`` never changes.

So all of this is drawn once and then chosen from, some of it much more often than the rest: the
top quarter gets half of the calls. What a call creates (instances, snapshots, objects) is new, is
known for a while, and then makes room for what comes later, so that memory stays bounded.
"""

from collections import deque
from collections.abc import Sequence
from functools import cached_property
from random import Random
from typing import Generic, TypeVar

from cloudtrail_parquet.sample_logs.draws import (
    favour,
    hex_text,
    id_text,
    mixed_text,
    pick,
    public_address,
    resource_id,
    uuid_text,
)
from cloudtrail_parquet.sample_logs.resources import (
    Database,
    FunctionResource,
    Instance,
    Key,
    Repository,
    S3Object,
    Sealed,
    Subnet,
)

TEAMS = ("orders", "billing", "search", "ledger", "media", "identity", "telemetry", "catalog")
JOBS = ("api", "worker", "etl", "sync", "report", "deploy")
INSTANCES = 48

_VPCS = 3
_SUBNETS = 6
_SECURITY_GROUPS = 12
_IMAGES = 10
_VOLUMES = 80
_SNAPSHOTS = 300
_INTERFACES = 3
_KEYS = 12
_LAUNCHED = 12
_STOCK = 2_000
_SECRETS = ("database", "api-key", "oauth-client")
_SETTINGS = ("db-host", "db-password", "feature-flags", "api-url", "log-level")
_METRICS = ("errors", "duration-p99", "queue-depth")

Item = TypeVar("Item")


# What programs read when they start and queries at every run, the same in each bucket.
_FAMOUS = [
    S3Object(key, 900 * (number + 1) ** 2)
    for number, key in enumerate(
        (
            *("config/settings.json", "config/feature-flags.json", "manifests/latest.json"),
            *(f"reference/countries/part-{n:05d}.parquet" for n in range(4)),
            *(f"assets/{name}" for name in ("app.js", "app.css", "logo.svg", "index.html")),
            *(f"reference/customers/part-{n:05d}.parquet" for n in range(24)),
        )
    )
]


class Stock(Generic[Item]):
    """The known contents of something: bounded, as a new item replaces any other.

    Attributes:
        items: All items, in no order.
    """

    def __init__(self, items: Sequence[Item] = (), limit: int = _STOCK) -> None:
        self.items = list(items)
        self._limit = limit

    def add(self, rng: Random, item: Item) -> None:
        """Add an item."""
        if len(self.items) < self._limit:
            self.items.append(item)
        else:
            self.items[int(rng.random() * self._limit)] = item

    def take(self, rng: Random) -> Item:
        """Remove an item and return it."""
        number = int(rng.random() * len(self.items))
        item, self.items[number] = self.items[number], self.items[-1]
        self.items.pop()
        return item


class Fleet:
    """The resources of one account in one region; lists are in the order of their popularity.

    They are drawn when they are first needed, as most units of a large tree are small.

    Attributes:
        subnets: All in a few VPCs.
        instances: Those that stay.
        launched: Ids of the last instances that were started for some hours, oldest first.
    """

    def __init__(self, rng: Random, account: str, region: str) -> None:
        self._rng = rng
        self._account = account
        self._scope = f"{region}:{account}"
        domain = "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"
        self.subnets = _draw_subnets(rng, region)
        self.instances = [_draw_instance(rng, self.subnets, domain) for _ in range(INSTANCES)]
        self.launched: deque[str] = deque(maxlen=_LAUNCHED)

    @cached_property
    def ids(self) -> dict[str, list[str]]:
        """EC2 ids by their prefix: ``i``, ``vpc``, ``subnet``, ``sg``, ``ami``, ``vol``."""
        return {
            "i": [instance.id for instance in self.instances],
            "vpc": sorted({subnet.vpc for subnet in self.subnets}),
            "subnet": [subnet.id for subnet in self.subnets],
            "sg": _draw_ids(self._rng, "sg", _SECURITY_GROUPS),
            "ami": _draw_ids(self._rng, "ami", _IMAGES),
            "vol": _draw_ids(self._rng, "vol", _VOLUMES),
        }

    @cached_property
    def snapshots(self) -> Stock[str]:
        """Ids of snapshots, of which old ones make room for new ones."""
        return Stock(_draw_ids(self._rng, "snap", _SNAPSHOTS), _SNAPSHOTS)

    @cached_property
    def functions(self) -> list[FunctionResource]:
        """Lambda functions, two of three in a VPC."""
        return [
            FunctionResource(
                f"{team}-{pick(self._rng, JOBS)}",
                tuple(_draw_ids(self._rng, "eni", _INTERFACES if number % 3 else 0)),
            )
            for number, team in enumerate(TEAMS)
        ]

    @cached_property
    def buckets(self) -> list[tuple[str, Stock[S3Object]]]:
        """Names of S3 buckets, each with the objects known to be in it."""
        kinds, suffix = ("data", "assets", "logs"), self._account[-4:]
        return [(f"{team}-{pick(self._rng, kinds)}-{suffix}", Stock()) for team in TEAMS]

    @cached_property
    def tables(self) -> list[tuple[str, Stock[object]]]:
        """Names of DynamoDB tables, each with the keys known to be in it."""
        kinds = ("state", "index", "items")
        return [(f"{team}-{pick(self._rng, kinds)}", Stock()) for team in TEAMS]

    @cached_property
    def keys(self) -> list[Key]:
        """KMS keys."""
        return [
            Key(f"arn:aws:kms:{self._scope}:key/{uuid_text(self._rng)}", hex_text(self._rng, 64))
            for _ in range(_KEYS)
        ]

    @cached_property
    def secrets(self) -> list[str]:
        """ARNs of secrets."""
        prefix = f"arn:aws:secretsmanager:{self._scope}:secret:"
        return [
            f"{prefix}{team}/{purpose}-{mixed_text(self._rng, 6)}"
            for purpose in _SECRETS
            for team in TEAMS
        ]

    @cached_property
    def sealed(self) -> list[Sealed]:
        """What is encrypted, each with one of the KMS keys."""
        rng = self._rng
        contexts: list[tuple[str, dict[str, str]]] = [
            *(("s3", {"aws:s3:arn": f"arn:aws:s3:::{name}"}) for name, _ in self.buckets),
            *(
                ("secretsmanager", {"SecretARN": arn, "SecretVersionId": uuid_text(rng)})
                for arn in self.secrets
            ),
            *(
                (
                    "dynamodb",
                    {"aws:dynamodb:subscriberId": self._account, "aws:dynamodb:tableName": name},
                )
                for name, _ in self.tables
            ),
            *(("ec2", {"aws:ebs:id": volume}) for volume in self.ids["vol"][::4]),
        ]
        rng.shuffle(contexts)
        return [
            Sealed(f"{service}.amazonaws.com", context, favour(rng, self.keys), number)
            for number, (service, context) in enumerate(contexts)
        ]

    @cached_property
    def parameters(self) -> list[list[str]]:
        """Names of SSM parameters, in sets that are asked for together."""
        return [
            [f"/app/{function.name}/{setting}" for setting in settings]
            for settings in (_SETTINGS[:3], _SETTINGS[3:], _SETTINGS)
            for function in self.functions
        ]

    @cached_property
    def repositories(self) -> list[Repository]:
        """ECR repositories."""
        rng = self._rng
        return [
            Repository(
                f"{team}/{pick(rng, JOBS)}", [f"sha256:{hex_text(rng, 64)}" for _ in range(5)]
            )
            for team in TEAMS[:5]
        ]

    @cached_property
    def databases(self) -> list[Database]:
        """RDS instances."""
        return [
            Database(f"{team}-db-{hex_text(self._rng, 4)}", f"db-{id_text(self._rng, 26)}")
            for team in TEAMS[:4]
        ]

    @cached_property
    def alarms(self) -> list[str]:
        """Names of CloudWatch alarms."""
        return [f"{function.name}-{metric}" for metric in _METRICS for function in self.functions]

    @cached_property
    def log_groups(self) -> list[str]:
        """Prefixes of names of log groups."""
        names = [f"/aws/lambda/{function.name}" for function in self.functions]
        return ["/aws/lambda/", "/ecs/", "/aws/rds/", "/aws/eks/", *names]


def famous(rng: Random) -> S3Object:
    """An object that everybody reads."""
    return favour(rng, _FAMOUS)


def _draw_ids(rng: Random, kind: str, count: int) -> list[str]:
    return [resource_id(rng, kind) for _ in range(count)]


def _draw_subnets(rng: Random, region: str) -> list[Subnet]:
    vpcs = _draw_ids(rng, "vpc", _VPCS)
    gateways = [public_address(rng) for _ in vpcs]
    return [
        Subnet(
            resource_id(rng, "subnet"),
            vpcs[number % _VPCS],
            f"{region}{'abc'[number // _VPCS]}",
            f"10.{number % _VPCS}.{16 * number}",
            gateways[number % _VPCS],
        )
        for number in range(_SUBNETS)
    ]


def _draw_instance(rng: Random, subnets: Sequence[Subnet], domain: str) -> Instance:
    subnet = favour(rng, subnets)
    host = subnet.address(rng).replace(".", "-")
    return Instance(resource_id(rng, "i"), f"ip-{host}.{domain}", subnet)
