import pytest

from bundle.errors import BuildError
from bundle.prune import RULES, Rule, prune

NEEDED = [
    "cloudtrail_parquet/conversion/convert.py",
    "cloudtrail_parquet/rewriting/in_place.py",
    "cloudtrail_parquet/rewriting/parts/rows.py",
    "isal/isa-l/LICENSE",
    "licenses/pyarrow/LICENSE.txt",
    "pyarrow/lib.cpython-313-aarch64-linux-gnu.so",
    "pyarrow/libarrow_python.so.2600",
    "pyarrow/libarrow_python_parquet_encryption.so.2600",
    "pyarrow/libarrow_substrait.so.2600",
]
NOT_NEEDED = [
    "cloudtrail_parquet/api.py",
    "cloudtrail_parquet/backfill/sending.py",
    "cloudtrail_parquet/cli/commands.py",
    "cloudtrail_parquet/cli/options.py",
    "cloudtrail_parquet/cli/inspection_tables.py",
    "cloudtrail_parquet/digests/check.py",
    "cloudtrail_parquet/intake/opening.py",
    "cloudtrail_parquet/coverage/cover.py",
    "cloudtrail_parquet/querying/engine.py",
    "cloudtrail_parquet/reference/ddl.py",
    "cloudtrail_parquet/verification/verify.py",
    "cloudtrail_parquet/rewriting/elsewhere.py",
    "cloudtrail_parquet/rewriting/making.py",
    "cloudtrail_parquet/rewriting/composed.py",
    "cloudtrail_parquet/rewriting/many.py",
    "cloudtrail_parquet/rewriting/parts/outlets.py",
    "cloudtrail_parquet/reporting/report.py",
    "cloudtrail_parquet/sample_logs/__init__.py",
    "isal-1.9.1.dist-info/RECORD",
    "isal/isa-l/README.md",
    "isal/isa-l/Release_notes.txt",
    "isal/isal_zlib.pyi",
    "isal/py.typed",
    "jmespath-1.1.0.data/scripts/jp.py",
    "pyarrow/_azurefs.cpython-313-aarch64-linux-gnu.so",
    "pyarrow/_dataset_orc.cpython-313-aarch64-linux-gnu.so",
    "pyarrow/_flight.cpython-313-aarch64-linux-gnu.so",
    "pyarrow/_gcsfs.cpython-313-aarch64-linux-gnu.so",
    "pyarrow/_hdfs.cpython-313-aarch64-linux-gnu.so",
    "pyarrow/_orc.cpython-313-aarch64-linux-gnu.so",
    "pyarrow/_pyarrow_cpp_tests.cpython-313-aarch64-linux-gnu.so",
    "pyarrow/_s3fs.cpython-313-aarch64-linux-gnu.so",
    "pyarrow/conftest.py",
    "pyarrow/include/arrow/api.h",
    "pyarrow/lib.pxd",
    "pyarrow/lib.pyx",
    "pyarrow/libarrow_flight.so.2600",
    "pyarrow/libarrow_python.so",
    "pyarrow/libarrow_python.so.2600.1.0",
    "pyarrow/libarrow_s3.so.2600",
    "pyarrow/orc.py",
    "pyarrow/src/arrow/python/api.h",
    "pyarrow/table.pxi",
    "pyarrow/tests/test_table.py",
]


def test_what_is_not_needed_is_left_out_and_nothing_else() -> None:
    assert prune(NOT_NEEDED + NEEDED[::-1]) == NEEDED


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.pattern)
def test_a_rule_that_matches_nothing_fails_the_build_and_is_named(rule: Rule) -> None:
    without = prune([*NEEDED, *NOT_NEEDED], [rule])

    with pytest.raises(BuildError) as raised:
        prune(without)

    assert f"the rule {rule.pattern!r} ({rule.reason}) matches no file" in str(raised.value)


def test_every_rule_has_a_reason_and_stands_once() -> None:
    assert all(rule.reason for rule in RULES)
    assert len({rule.pattern for rule in RULES}) == len(RULES)
