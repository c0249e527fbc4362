"""Each environment is applied to an account, found unchanged by a second plan, and destroyed."""

import json
import sys
from collections import Counter
from functools import reduce
from operator import or_
from pathlib import Path

import pytest

from stacks.environment.load import load
from stacks.iam.cross_account import ROLES
from stacks.iam.size import MAX_CHARACTERS, policy_characters
from tests.stacks.account import ACCOUNT, LISTED, Account
from tests.stacks.conftest import CASES, ENVIRONMENTS
from tests.stacks.terraform import State, Terraform, only_major, region_of, together

pytestmark = pytest.mark.slow

MANY = "many-sources"
"""As many sources of other accounts as would be too many with a statement for each."""


def there_before(account: Account, region: str) -> None:
    """Make what the environments refer to and do not make, if moto asks for it.

    It does not for buckets, KMS keys, topics, subnets, security groups and policies.
    """
    account.client("glue", region).create_database(DatabaseInput={"Name": "cloudtrail"})


@pytest.mark.parametrize("major", [5, 6])
def test_each_stack_is_applied_unchanged_by_a_second_plan_and_destroyed_without_a_trace(
    provider: Path, synthesised: Path, tmp_path: Path, major: int
) -> None:
    """All of them by the same commands, in one account, with each version of the provider."""
    versions = only_major(provider, major)
    cases = (*CASES, MANY)
    folders = [synthesised / case for case in cases]
    regions = sorted(set(map(region_of, folders)))

    def inventory() -> Counter[tuple[str, str]]:
        return reduce(or_, map(account.inventory, regions))  # names are of one stack each

    with Account(regions[0]) as account:
        there_before(account, region_of(synthesised / "other-account"))
        before = inventory()
        terraform = Terraform(
            together(folders, tmp_path / "modules", versions),
            tmp_path / "stacks",
            account,
            provider,
        )
        assert terraform.provider.startswith(f"{major}.")

        assert "Warning" not in terraform.apply()

        made = Counter(type_ for type_, _ in (inventory() - before).elements())
        state = terraform.state()
        assert {address.split(".")[1] for address in state} == set(cases)
        for case in cases:
            assert_policies_have_the_size_that_was_counted(state, synthesised, case)
        types = Counter(address.split(".")[2] for address in state)
        assert made == {type_: count for type_, count in types.items() if type_ in LISTED}
        assert terraform.changes() == ""

        terraform.destroy()

        assert inventory() == before
        assert terraform.state() == {}
    sys.stdout.write(f"{terraform.provider} {terraform.seconds}\n")


def assert_policies_have_the_size_that_was_counted(
    state: State, synthesised: Path, case: str
) -> None:
    """The account is one that some environments do not name, with as many digits as any."""
    stack = json.loads((synthesised / case / "cdk.tf.json").read_bytes())
    (environment,) = load(ENVIRONMENTS / f"{case}.toml").values()
    for role in ROLES:
        text = state[f"module.{case}.aws_iam_role_policy.{role}_policy"]["policy"]
        counted = policy_characters(stack, environment, role)
        assert counted == len("".join(text.split())) <= MAX_CHARACTERS


def test_a_stack_is_not_applied_to_another_account(
    provider: Path, synthesised: Path, tmp_path: Path
) -> None:
    folder = synthesised / "other-account"
    with Account(region_of(folder)) as account:
        terraform = Terraform(folder, tmp_path / "stack", account, provider)
        stack = json.loads((terraform.folder / "cdk.tf.json").read_bytes())
        (aws,) = stack["provider"]["aws"]
        assert aws["allowed_account_ids"] == [ACCOUNT]
        aws["allowed_account_ids"] = ["210987654321"]
        terraform.write("cdk.tf.json", stack)

        refused = terraform.run("plan", "-input=false")

    assert refused.returncode == 1
    assert f"AWS account ID not allowed: {ACCOUNT}" in refused.stderr
