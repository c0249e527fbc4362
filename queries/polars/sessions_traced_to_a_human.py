# sessions_traced_to_a_human, for Polars.
#
# Polars has no recursive queries: each turn of the loop follows all chains by one role.
# `cloudtrail` is what `cloudtrail-parquet schema --format polars` prints, or docs/reading.md;
# filter it by its folders first to read fewer files.
#
# Parameters:
#   session  ASIAIOSFODNN7EXAMPLE: the access key or the ARN of one session (default all)
import polars as pl

session = None

CALLS = ["AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "AssumeRoot"]
CALLS += ["GetFederationToken", "GetSessionToken"]
identity = pl.col("userIdentity").struct
context = identity["sessionContext"].struct
request = pl.col("requestParameters").str.json_path_match
answer = pl.col("responseElements").str.json_path_match
federated = pl.when(identity["type"].is_in(["SAMLUser", "WebIdentityUser"])).then(
    identity["userName"]
)

hops = (
    cloudtrail.filter(
        pl.col("eventSource") == "sts.amazonaws.com",
        pl.col("eventName").is_in(CALLS),
        pl.col("errorCode").is_null(),
    )
    .select(
        "eventTime",
        "eventID",
        "region",
        "sourceIPAddress",
        recorded="account",
        isNamed=identity["arn"].is_not_null(),
        isOwn=pl.col("region").eq_missing(pl.col("awsRegion")),
        action=pl.coalesce("sharedEventID", pl.concat_str("account", "eventID")),
        accessKey=identity["accessKeyId"],
        kind=identity["type"],
        identity=pl.coalesce(request("$.sourceIdentity"), context["sourceIdentity"]),
        caller=pl.coalesce(
            federated,
            identity["onBehalfOf"].struct["userId"],
            identity["arn"],
            identity["invokedBy"],
            identity["principalId"],
        ),
        role=pl.coalesce(request("$.roleArn"), request("$.name"), "eventName"),
        session=pl.coalesce(
            answer("$.assumedRoleUser.arn"), answer("$.federatedUser.arn"), identity["arn"]
        ),
        newAccessKey=answer("$.credentials.accessKeyId"),
    )
    .sort("isNamed", "eventID", "isOwn", "region", descending=[True, False, True, False])
    .filter(pl.col("action").is_null() | (pl.int_range(pl.len()).over("action") == 0))
    .collect()
)
given_out = hops["newAccessKey"].drop_nulls().implode()
links = hops.with_columns(
    origin="caller", firstAddress="sourceIPAddress", roles=pl.concat_list("role")
).filter(pl.col("accessKey").is_null() | ~pl.col("accessKey").is_in(given_out))
chains = [links]
while links.height and len(chains) < 10:
    links = (
        links.select(
            "kind",
            "origin",
            "firstAddress",
            "roles",
            accessKey="newAccessKey",
            since="eventTime",
            earlier="identity",
        )
        .join(hops.drop("kind"), on="accessKey")
        .filter(pl.col("eventTime") >= pl.col("since"))
        .with_columns(
            roles=pl.concat_list("roles", "role"), identity=pl.coalesce("identity", "earlier")
        )
        .select(chains[0].columns)
    )
    chains.append(links)

is_wanted = (
    pl.lit(True)
    if session is None
    else (pl.col("newAccessKey") == session) | (pl.col("session") == session)
)
found = (
    pl.concat(chains)
    .filter(is_wanted)
    .select(
        "eventTime",
        account=pl.coalesce(
            pl.col("session").str.split(":").list.get(4, null_on_oob=True).replace("", None),
            "recorded",
        ),
        session="session",
        newAccessKey="newAccessKey",
        human=pl.coalesce("identity", "origin"),
        kind="kind",
        roles="roles",
        firstAddress="firstAddress",
        eventID="eventID",
    )
    .sort("eventTime", "account", "session", "newAccessKey")
)
