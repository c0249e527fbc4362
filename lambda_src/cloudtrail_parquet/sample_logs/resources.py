"""The resources of an account, as records name them."""

from random import Random
from typing import NamedTuple


class S3Object(NamedTuple):
    """An object in some bucket; its size is in bytes."""

    key: str
    size: int


class Subnet(NamedTuple):
    """A subnet.

    Attributes:
        vpc: Id of its VPC.
        zone: Its availability zone.
        prefix: The first three bytes of its addresses, as text.
        gateway: The public address from which its calls reach AWS.
    """

    id: str
    vpc: str
    zone: str
    prefix: str
    gateway: str

    def address(self, rng: Random) -> str:
        """A private address."""
        return f"{self.prefix}.{int(rng.random() * 250) + 4}"


class Instance(NamedTuple):
    """An EC2 instance; ``computer`` is its private DNS name."""

    id: str
    computer: str
    subnet: Subnet


class FunctionResource(NamedTuple):
    """A Lambda function, with the ids of its network interfaces: none outside a VPC."""

    name: str
    interfaces: tuple[str, ...]


class Key(NamedTuple):
    """A KMS key; ``material`` is its ``keyMaterialId``."""

    arn: str
    material: str


class Sealed(NamedTuple):
    """Something that a service keeps encrypted.

    Attributes:
        host: The service.
        context: ``encryptionContext``.
        key: The KMS key.
        reader: Selects the role that uses it.
    """

    host: str
    context: dict[str, str]
    key: Key
    reader: int


class Repository(NamedTuple):
    """An ECR repository, with the digests of the images that are pulled."""

    name: str
    images: list[str]


class Database(NamedTuple):
    """An RDS instance; ``resource_id`` is its ``dbiResourceId``."""

    name: str
    resource_id: str
