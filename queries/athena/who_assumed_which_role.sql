-- who_assumed_which_role, for Athena.
--
-- Of the copies of a cross-account call, which share a sharedeventid, the one that names the caller
-- best is taken; account is the role's. Services that run code (Lambda, ECS, EC2) appear as their
-- host's name.
WITH calls AS (
    SELECT *, coalesce(sharedeventid, account || eventid) AS action,
        json_extract_scalar(requestparameters, '$.roleArn') AS rolearn
    FROM cloudtrail
    WHERE eventsource = 'sts.amazonaws.com'
      AND eventname IN ('AssumeRole', 'AssumeRoleWithSAML', 'AssumeRoleWithWebIdentity')
), ranked AS (
    SELECT *, row_number() OVER (
        PARTITION BY action
        ORDER BY useridentity.arn NULLS LAST, eventid, region <> awsregion, region) AS copy
    FROM calls
)
SELECT rolearn, split_part(rolearn, ':', 5) AS account,
    coalesce(useridentity.sessioncontext.sessionissuer.arn, useridentity.arn,
             useridentity.invokedby, useridentity.username, useridentity.principalid) AS who,
    count(*) AS calls, count(errorcode) AS refused,
    min(eventtime) AS firsttime, max(eventtime) AS lasttime
FROM ranked
WHERE copy = 1 OR action IS NULL
GROUP BY 1, 2, 3
ORDER BY rolearn, calls DESC, who
