-- Through which chains of roles did somebody reach another account?
--
-- Each involved account has a copy of an AssumeRole, with the same sharedEventID and another
-- eventID; the copy of the role's account says less about the caller. One copy is taken here. The
-- next link of a chain is the call made with the access key that the last one gave out. account is
-- the caller's.
--
-- Source: IAM User Guide, "Roles terms and concepts": role chaining.
WITH RECURSIVE hops AS (
    SELECT eventTime, eventID, sharedEventID, userIdentity.accountId AS fromAccount,
        coalesce(userIdentity.arn, userIdentity.invokedBy, userIdentity.principalId) AS caller,
        userIdentity.accessKeyId AS accessKey,
        requestParameters->>'$.roleArn' AS roleArn,
        split_part(roleArn, ':', 5) AS toAccount,
        responseElements->>'$.credentials.accessKeyId' AS newAccessKey,
        coalesce(sharedEventID, account || eventID) AS action,
        count(DISTINCT eventID) OVER (PARTITION BY action) AS copies
    FROM cloudtrail
    WHERE eventSource = 'sts.amazonaws.com' AND eventName = 'AssumeRole' AND errorCode IS NULL
    QUALIFY action IS NULL OR 1 = row_number() OVER (
        PARTITION BY action
        ORDER BY userIdentity.arn NULLS LAST, eventID, region <> awsRegion, region)
), chains AS (
    SELECT *, caller AS firstCaller, [roleArn] AS roles FROM hops
    WHERE accessKey IS NULL
       OR accessKey NOT IN (SELECT newAccessKey FROM hops WHERE newAccessKey IS NOT NULL)
    UNION ALL
    SELECT hops.*, chains.firstCaller, list_append(chains.roles, hops.roleArn)
    FROM chains JOIN hops ON hops.accessKey = chains.newAccessKey
    WHERE hops.eventTime >= chains.eventTime AND len(chains.roles) < 10
)
SELECT eventTime, fromAccount AS account, toAccount, firstCaller, roles, copies, newAccessKey,
    sharedEventID, eventID
FROM chains
WHERE fromAccount <> toAccount
ORDER BY ALL;
