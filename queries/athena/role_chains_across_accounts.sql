-- role_chains_across_accounts, for Athena.
--
-- Each involved account has a copy of an AssumeRole, with the same sharedeventid and another
-- eventid; the copy of the role's account says less about the caller. One copy is taken here. The
-- next link of a chain is the call made with the access key that the last one gave out. account is
-- the caller's. Chains of up to three roles are found, in as many passes over the same days.
WITH calls AS (
    SELECT eventtime, eventid, sharedeventid, region, awsregion,
        useridentity.accountid AS fromaccount, useridentity.arn AS arn,
        coalesce(useridentity.arn, useridentity.invokedby, useridentity.principalid) AS caller,
        useridentity.accesskeyid AS accesskey,
        json_extract_scalar(requestparameters, '$.roleArn') AS rolearn,
        json_extract_scalar(responseelements, '$.credentials.accessKeyId') AS newaccesskey,
        coalesce(sharedeventid, account || eventid) AS action
    FROM cloudtrail
    WHERE eventsource = 'sts.amazonaws.com' AND eventname = 'AssumeRole' AND errorcode IS NULL
), ranked AS (
    SELECT *, split_part(rolearn, ':', 5) AS toaccount,
        dense_rank() OVER (PARTITION BY action ORDER BY eventid)
        + dense_rank() OVER (PARTITION BY action ORDER BY eventid DESC) - 1 AS copies,
        row_number() OVER (
            PARTITION BY action
            ORDER BY arn NULLS LAST, eventid, region <> awsregion, region) AS copy
    FROM calls
), hops AS (
    SELECT * FROM ranked WHERE copy = 1 OR action IS NULL
), beginnings AS (
    SELECT *, caller AS firstcaller, ARRAY[rolearn] AS roles FROM hops
    WHERE accesskey IS NULL
       OR accesskey NOT IN (SELECT newaccesskey FROM hops WHERE newaccesskey IS NOT NULL)
), seconds AS (
    SELECT hops.*, earlier.firstcaller, earlier.roles || ARRAY[hops.rolearn] AS roles
    FROM beginnings AS earlier JOIN hops ON hops.accesskey = earlier.newaccesskey
    WHERE hops.eventtime >= earlier.eventtime
), thirds AS (
    SELECT hops.*, earlier.firstcaller, earlier.roles || ARRAY[hops.rolearn] AS roles
    FROM seconds AS earlier JOIN hops ON hops.accesskey = earlier.newaccesskey
    WHERE hops.eventtime >= earlier.eventtime
), chains AS (
    SELECT * FROM beginnings UNION ALL SELECT * FROM seconds UNION ALL SELECT * FROM thirds
)
SELECT eventtime, fromaccount AS account, toaccount, firstcaller, roles, copies, newaccesskey,
    sharedeventid, eventid
FROM chains
WHERE fromaccount <> toaccount
ORDER BY eventtime, fromaccount, toaccount, firstcaller, eventid
