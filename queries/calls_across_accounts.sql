-- Who from which account touched what in another account?
--
-- fromAccount is the caller's, account the one whose resources were touched. Both may have a copy
-- of such a call, with the same sharedEventID; one is counted, and the one that names the caller
-- best is taken. Anonymous callers have the account anonymous. Assuming a role elsewhere is such a
-- call too; what is done with the role then is that account's own.
--
-- Source: CloudTrail User Guide, "CloudTrail record contents": sharedEventID.
WITH calls AS (
    SELECT *, userIdentity.accountId AS fromAccount,
        if(userIdentity.accountId <> account, account,
           list_filter(resources, lambda r: r.accountId <> userIdentity.accountId)[1].accountId)
            AS toAccount,
        coalesce(sharedEventID, account || eventID) AS action
    FROM cloudtrail
    WHERE toAccount IS NOT NULL
    QUALIFY action IS NULL OR 1 = row_number() OVER (
        PARTITION BY action
        ORDER BY userIdentity.arn NULLS LAST, eventID, region <> awsRegion, region)
)
SELECT fromAccount, toAccount AS account,
    coalesce(userIdentity.sessionContext.sessionIssuer.arn, userIdentity.arn,
             userIdentity.invokedBy, userIdentity.principalId) AS who,
    eventSource, eventName, count(*) AS calls, count(errorCode) AS refused,
    min(resources[1].ARN) AS example, min(eventTime) AS firstTime, max(eventTime) AS lastTime
FROM calls
GROUP BY ALL
ORDER BY fromAccount, account, who, eventSource, eventName;
