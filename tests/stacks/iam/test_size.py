"""The policies of roles fit into what IAM takes, or are refused before anything is written.

That they are as large as counted, test_terraform.py compares with what is applied.
"""

import subprocess
import sys
from pathlib import Path

from stacks.environment.load import load
from stacks.iam.cross_account import known_aws
from stacks.iam.size import MAX_CHARACTERS, oversized_policies, policy_characters
from stacks.iam.statements import source_statements
from tests.stacks.conftest import ENVIRONMENTS, PACKAGE, ROOT
from tests.stacks.handover.checkouts import environment_of, terraform_of

MANY = "many-sources"


def test_twenty_sources_of_as_many_accounts_share_statements(synthesised: Path) -> None:
    environment = environment_of(MANY)
    sources, aws = environment.sources, known_aws(environment)

    listing, reading, decrypting = source_statements(sources, environment.settings, aws)

    assert listing.resources == tuple(f"arn:aws:s3:::{one.bucket}" for one in sources)
    assert reading.resources == tuple(
        f"arn:aws:s3:::{one.bucket}/*AWSLogs/*/CloudTrail/*" for one in sources
    )
    assert decrypting.resources == tuple(one.kms_keys[0] for one in sources)
    for one in (listing, reading):
        (owned,) = one.conditions
        assert owned.values == tuple(one.account for one in sources)
    stack = terraform_of(synthesised / MANY)
    assert policy_characters(stack, environment, "converter_role") < 0.6 * MAX_CHARACTERS
    assert list(oversized_policies(stack, environment)) == []


def test_sources_that_differ_in_what_a_statement_says_do_not_share_it() -> None:
    environment = environment_of("permissions")  # two prefixes, regions; one without an owner
    of_org, old, new = environment.sources
    aws = known_aws(environment)

    statements = list(source_statements(environment.sources, environment.settings, aws))

    listed = [one for one in statements if one.actions == ("s3:ListBucket",)]
    assert [one.resources for one in listed] == [
        (f"arn:aws:s3:::{of_org.bucket}", f"arn:aws:s3:::{new.bucket}"),
        (f"arn:aws:s3:::{old.bucket}",),
    ]
    assert [{one.variable: one.values for one in each.conditions} for each in listed] == [
        {"s3:prefix": ("trails/org/*",), "aws:ResourceAccount": ("210987654321", "333333333333")},
        {},
    ]
    elsewhere = [of_org.model_copy(update={"region": "us-east-1"}), new]
    *_, one, other = source_statements(elsewhere, environment.settings, aws)
    assert (one.resources, other.resources) == (of_org.kms_keys, new.kms_keys)
    assert one.conditions != other.conditions


def test_more_sources_than_iam_takes_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    text = (ENVIRONMENTS / f"{MANY}.toml").read_text()
    head, *sources = text.split("[[sources]]\n")
    others = [one.replace("-of-account-", "-of-other-account-") for one in sources]
    with_prefixes = [
        f'prefix = "organization-{number:02}"\n{one}'
        for number, one in enumerate([*sources, *others])
    ]
    (tmp_path / "many.toml").write_text("[[sources]]\n".join([head, *with_prefixes]))
    load(tmp_path / "many.toml")  # nothing else is wrong with it
    (tmp_path / PACKAGE).write_bytes(b"")

    done = subprocess.run(
        [
            *(sys.executable, "app.py", "--environments", str(tmp_path)),
            *("--package", str(tmp_path / PACKAGE), "--out", str(tmp_path / "out")),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(
        "error: environments: many: sources: the policy of converter_role would have 1"
    )
    assert "10,240" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list((tmp_path / "out").rglob("*.*"))
