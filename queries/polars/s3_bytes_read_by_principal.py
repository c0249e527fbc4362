# s3_bytes_read_by_principal, for Polars.
#
# `cloudtrail` is what `cloudtrail-parquet schema --format polars` prints, or docs/reading.md;
# filter it by its folders first to read fewer files. Needs S3 data events.
#
# Parameters:
#   bucket  orders: the name of the bucket (default all buckets)
import polars as pl

bucket = None

identity = pl.col("userIdentity").struct
issuer = identity["sessionContext"].struct["sessionIssuer"].struct["arn"]
bucket_name = pl.col("requestParameters").str.json_path_match("$.bucketName")
action = pl.coalesce("sharedEventID", pl.concat_str("account", "eventID"))
own_region = pl.col("region").eq_missing(pl.col("awsRegion"))

found = (
    cloudtrail.filter(
        pl.col("eventSource") == "s3.amazonaws.com",
        pl.col("eventName").is_in(["GetObject", "SelectObjectContent", "GetObjectTorrent"]),
        bucket_name.is_not_null() if bucket is None else bucket_name == bucket,
    )
    .with_columns(action=action, isNamed=identity["arn"].is_not_null(), isOwn=own_region)
    .sort("isNamed", "eventID", "isOwn", "region", descending=[True, False, True, False])
    .filter(pl.col("action").is_null() | (pl.int_range(pl.len()).over("action") == 0))
    .group_by(
        "account",
        bucket_name.alias("bucket"),
        identity["accountId"].alias("fromAccount"),
        pl.coalesce(issuer, identity["arn"], identity["invokedBy"], identity["principalId"]).alias(
            "who"
        ),
    )
    .agg(
        bytes=pl.col("additionalEventData")
        .str.json_path_match("$.bytesTransferredOut")
        .cast(pl.Float64, strict=False)
        .sum()
        .cast(pl.Int64),
        objects=pl.col("requestParameters").str.json_path_match("$.key").drop_nulls().n_unique(),
        calls=pl.len(),
        refused=pl.col("errorCode").count(),
        addresses=pl.col("sourceIPAddress").drop_nulls().n_unique(),
        firstTime=pl.col("eventTime").min(),
        lastTime=pl.col("eventTime").max(),
    )
    .sort("bytes", "account", "bucket", "who", descending=[True, False, False, False])
    .collect()
)
