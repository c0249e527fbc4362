"""Each environment is applied to an account, found unchanged by a second plan, and destroyed."""

import json
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.stacks.account import ACCOUNT, LISTED, Account
from tests.stacks.conftest import CASES
from tests.stacks.terraform import Terraform, region_of

pytestmark = pytest.mark.slow


def there_before(account: Account) -> None:
    """Make what the environments refer to and do not make, if moto asks for it.

    It does not for buckets, KMS keys, topics, subnets, security groups and policies.
    """
    account.client("glue").create_database(DatabaseInput={"Name": "cloudtrail"})


def live(terraform: Terraform, account: Account) -> None:
    """From nothing to a stack and back to nothing."""
    checked = json.loads(terraform("validate", "-json"))
    assert checked["diagnostics"] == []
    before = account.inventory()

    terraform.apply()

    made = Counter(type_ for type_, _ in (account.inventory() - before).elements())
    types = Counter(address.partition(".")[0] for address in terraform.state())
    assert made == {type_: count for type_, count in types.items() if type_ in LISTED}
    assert terraform.changes() == ""

    terraform.destroy()

    assert account.inventory() == before
    assert terraform.state() == {}


def test_each_stack_is_applied_unchanged_by_a_second_plan_and_destroyed_without_a_trace(
    provider: Path, synthesised: Path, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    """All at the same time: most of it is the provider's waiting for queues, 25 s at a time."""
    with ExitStack() as running:
        accounts = {
            case: running.enter_context(Account(region_of(synthesised / case))) for case in CASES
        }
        for account in accounts.values():
            there_before(account)
        stacks = {
            case: Terraform(synthesised / case, tmp_path / case, account, provider)
            for case, account in accounts.items()
        }
        threads = running.enter_context(ThreadPoolExecutor(len(CASES)))
        lives = {case: threads.submit(live, stacks[case], accounts[case]) for case in CASES}
        for case, life in lives.items():
            with subtests.test(case):
                life.result()
    for case, terraform in stacks.items():
        sys.stdout.write(f"{case}: {terraform.seconds}\n")


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
