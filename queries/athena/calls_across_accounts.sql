-- calls_across_accounts, for Athena.
--
-- fromaccount is the caller's, account the one whose resources were touched. Both may have a copy
-- of such a call, with the same sharedeventid; one is counted, and the one that names the caller
-- best is taken. Anonymous callers have the account anonymous. Assuming a role elsewhere is such a
-- call too; what is done with the role then is that account's own.
WITH calls AS (
    SELECT *, useridentity.accountid AS fromaccount,
        if(useridentity.accountid <> account, account,
           element_at(filter(resources, r -> r.accountid <> useridentity.accountid), 1).accountid)
            AS toaccount,
        coalesce(sharedeventid, account || eventid) AS action
    FROM cloudtrail
), ranked AS (
    SELECT *, row_number() OVER (
        PARTITION BY action
        ORDER BY useridentity.arn NULLS LAST, eventid, region <> awsregion, region) AS copy
    FROM calls
    WHERE toaccount IS NOT NULL
)
SELECT fromaccount, toaccount AS account,
    coalesce(useridentity.sessioncontext.sessionissuer.arn, useridentity.arn,
             useridentity.invokedby, useridentity.principalid) AS who,
    eventsource, eventname, count(*) AS calls, count(errorcode) AS refused,
    min(element_at(resources, 1).arn) AS example,
    min(eventtime) AS firsttime, max(eventtime) AS lasttime
FROM ranked
WHERE copy = 1 OR action IS NULL
GROUP BY 1, 2, 3, 4, 5
ORDER BY fromaccount, account, who, eventsource, eventname
