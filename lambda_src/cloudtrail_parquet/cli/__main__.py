"""``python -m cloudtrail_parquet.cli``."""

from cloudtrail_parquet.cli.commands import main

main()
