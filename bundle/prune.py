"""What the Lambda function does not need, and why.

A pattern is one of fnmatch, over the whole path: ``*`` matches ``/``, too. A rule that matches
nothing fails the build: the package it was made for has moved things, so the rule needs a look.
"""

from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import NamedTuple

from bundle.errors import BuildError


class Rule(NamedTuple):
    """A pattern of paths to leave out, and the reason."""

    pattern: str
    reason: str


RULES = (
    Rule("cloudtrail_parquet/api.py", "what programs import"),
    Rule("cloudtrail_parquet/backfill/*", "what the command line asks of queues"),
    Rule("cloudtrail_parquet/cli/*", "the command line, which needs typer and rich"),
    Rule("cloudtrail_parquet/coverage/*", "what a dataset covers, for people"),
    Rule("cloudtrail_parquet/digests/*", "what CloudTrail has signed, for the command line"),
    Rule("cloudtrail_parquet/intake/*", "sources other than delivered trees"),
    Rule("cloudtrail_parquet/querying/*", "questions to a dataset, which need DuckDB"),
    Rule("cloudtrail_parquet/reference/*", "the schema and the settings in words, for people"),
    Rule("cloudtrail_parquet/reporting/*", "reports, which need DuckDB"),
    Rule("cloudtrail_parquet/rewriting/elsewhere.py", "another dataset, which the command makes"),
    Rule("cloudtrail_parquet/rewriting/making.py", "the same"),
    Rule("cloudtrail_parquet/rewriting/composed.py", "the same: its receipts"),
    Rule("cloudtrail_parquet/rewriting/many.py", "many units in processes of a machine"),
    Rule("cloudtrail_parquet/rewriting/parts/outlets.py", "parts of another dataset"),
    Rule("cloudtrail_parquet/sample_logs/*", "makes sample logs"),
    Rule("cloudtrail_parquet/verification/*", "what the command line compares, on a machine"),
    Rule("*.dist-info/*", "for installers: nothing packed here asks importlib.metadata"),
    Rule("*.data/scripts/*", "commands"),
    Rule("*.pyi", "for type checkers"),
    Rule("*/py.typed", "for type checkers"),
    Rule("*.pxd", "for compiling against pyarrow"),
    Rule("*.pxi", "for compiling against pyarrow"),
    Rule("*.pyx", "for compiling against pyarrow"),
    Rule("pyarrow/include/*", "for compiling against pyarrow"),
    Rule("pyarrow/src/*", "for compiling against pyarrow"),
    Rule("pyarrow/tests/*", "tests"),
    Rule("pyarrow/conftest.py", "tests"),
    Rule("pyarrow/_pyarrow_cpp_tests.*", "tests"),
    Rule("pyarrow/libarrow_python*.so", "a copy: the loader asks for libarrow_python*.so.N"),
    Rule("pyarrow/libarrow_python*.so.*.*.*", "a copy: the loader asks for libarrow_python*.so.N"),
    Rule("pyarrow/*flight*", "Flight, a network protocol: 29 MB"),
    Rule("pyarrow/libarrow_s3.*", "pyarrow's own S3 client: 16 MB; obstore is ours"),
    Rule("pyarrow/_s3fs.*", "pyarrow's own S3 client; pyarrow.fs does without"),
    Rule("pyarrow/_azurefs.*", "Azure; pyarrow.fs does without"),
    Rule("pyarrow/_gcsfs.*", "Google Cloud Storage; pyarrow.fs does without"),
    Rule("pyarrow/_hdfs.*", "Hadoop; pyarrow.fs does without"),
    Rule("pyarrow/orc.py", "the ORC format"),
    Rule("pyarrow/_orc.*", "the ORC format"),
    Rule("pyarrow/_dataset_orc.*", "the ORC format; pyarrow.dataset does without"),
    Rule("isal/isa-l/*.md", "documentation"),
    Rule("isal/isa-l/*.txt", "documentation"),
)


def prune(paths: Collection[str], rules: Collection[Rule] = RULES) -> list[str]:
    """The paths that no rule leaves out, sorted.

    Raises:
        BuildError: A rule matches nothing.
    """
    for rule in rules:
        if not any(fnmatchcase(path, rule.pattern) for path in paths):
            raise BuildError(
                f"the rule {rule.pattern!r} ({rule.reason}) matches no file",
                "bundle/prune.py",
                "See what the new version of the package has instead; change or remove the rule",
            )
    return sorted(
        path for path in paths if not any(fnmatchcase(path, rule.pattern) for rule in rules)
    )
