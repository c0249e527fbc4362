"""Who else may read a dataset: permissions in the policy of its bucket, and in that of its key.

Readers are named as in `cross_account`: their account is the principal, and a role is a condition,
so that a role may be made, or made again, later. What their account allows them counts as well.
"""

from collections.abc import Iterator
from typing import NamedTuple

from stacks.environment.fields import Environment
from stacks.environment.locations import DatasetLocation
from stacks.iam.cross_account import Json, known_aws, unlisted
from stacks.iam.statements import Condition, Statement


class _Readers(NamedTuple):
    """Readers of one kind: the accounts that they are in, and a condition for roles."""

    name: str
    accounts: tuple[str, ...]
    conditions: tuple[Condition, ...]

    def principals(self, partition: str) -> tuple[str, ...]:
        return tuple(f"arn:{partition}:iam::{account}:root" for account in self.accounts)


def reader_statements(
    location: DatasetLocation, bucket_arn: str, partition: str
) -> Iterator[Statement]:
    """The permissions to find and read parts, for the policy of the dataset's bucket."""
    folder = f"{location.prefix}/" if location.prefix else ""
    in_folder = (Condition("StringLike", "s3:prefix", (f"{folder}*",)),) if folder else ()
    for readers in _kinds(location):
        granted = {
            "List": (("s3:ListBucket",), bucket_arn, in_folder),
            "Locate": (("s3:GetBucketLocation",), bucket_arn, ()),  # Athena asks for it
            "Read": (("s3:GetObject",), f"{bucket_arn}/{folder}*", ()),
        }
        for verb, (actions, resource, conditions) in granted.items():
            yield Statement(
                sid=f"{verb}By{readers.name}",
                why=f"{readers.name.lower()} that may read the dataset",
                actions=actions,
                resources=(resource,),
                conditions=conditions + readers.conditions,
                principals=readers.principals(partition),
            )


def reader_key_grants(environment: Environment) -> list[Json]:
    """What the policy of the dataset's key has to grant its readers, in the form of policies."""
    dataset, here = environment.dataset, known_aws(environment)
    if not dataset.kms_key:
        return []
    via = {"kms:ViaService": f"s3.{dataset.region or here.region}.{here.dns_suffix}"}
    grants: list[Json] = []
    for readers in _kinds(dataset):
        conditions: dict[str, Json] = {"StringEquals": {**via}}
        for test, variable, values in readers.conditions:
            conditions.setdefault(test, {})[variable] = unlisted(list(values))
        grants.append(
            {
                "Sid": f"CloudtrailParquetDecryptBy{readers.name}",
                "Effect": "Allow",
                "Principal": {"AWS": unlisted(list(readers.principals(here.partition)))},
                "Action": "kms:Decrypt",
                "Resource": "*",
                "Condition": conditions,
            }
        )
    return grants


def _kinds(location: DatasetLocation) -> Iterator[_Readers]:
    accounts = tuple(sorted(reader for reader in location.readers if reader.isdigit()))
    roles = tuple(sorted(set(location.readers) - set(accounts)))
    if accounts:
        yield _Readers("Accounts", accounts, ())
    if roles:
        owners = tuple(sorted({role.split(":")[4] for role in roles}))
        yield _Readers("Roles", owners, (Condition("ArnEquals", "aws:PrincipalArn", roles),))
