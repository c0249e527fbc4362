# actions_used_by_a_role, for Polars.
#
# `cloudtrail` is what `cloudtrail-parquet schema --format polars` prints, or docs/reading.md;
# filter it by its folders first to read fewer files.
#
# Parameters:
#   role  arn:aws:iam::012345678901:role/reader: its ARN or its name (default all roles)
import polars as pl

role = None

issuer = pl.col("userIdentity").struct["sessionContext"].struct["sessionIssuer"]
arn, name = issuer.struct["arn"], issuer.struct["userName"]
is_wanted = pl.lit(True) if role is None else (arn == role) | (name == role)
place = pl.concat_str(pl.col("region").ne_missing(pl.col("awsRegion")).cast(pl.Int8), "region")
denied = "(?i)denied|unauthori[sz]ed|notauthori[sz]ed|forbidden"

found = (
    cloudtrail.filter(issuer.struct["type"] == "Role", is_wanted)
    .filter(pl.col("eventID").is_null() | (place == place.min().over("account", "eventID")))
    .group_by("account", arn.alias("role"), "eventSource", "eventName")
    .agg(
        action=pl.concat_str(
            pl.col("eventSource").first().str.split(".").list.first(),
            pl.lit(":"),
            pl.col("eventName").first(),
        ),
        calls=pl.len(),
        denied=pl.col("errorCode").str.contains(denied).sum(),
        readOnly=pl.col("readOnly").min(),
        regions=pl.col("awsRegion").unique().sort(),
        firstTime=pl.col("eventTime").min(),
        lastTime=pl.col("eventTime").max(),
    )
    .sort("account", "role", "eventSource", "eventName")
    .collect()
)
