-- Who assumed which role, how often, and how often was it refused?
--
-- Of the copies of a cross-account call, which share a sharedEventID, the one that names the caller
-- best is taken; account is the role's. Services that run code (Lambda, ECS, EC2) appear as their
-- host's name.
--
-- Source: IAM User Guide, "Logging IAM and AWS STS API calls with CloudTrail".
WITH calls AS (
    SELECT *, coalesce(sharedEventID, account || eventID) AS action
    FROM cloudtrail
    WHERE eventSource = 'sts.amazonaws.com'
      AND eventName IN ('AssumeRole', 'AssumeRoleWithSAML', 'AssumeRoleWithWebIdentity')
    QUALIFY action IS NULL OR 1 = row_number() OVER (
        PARTITION BY action
        ORDER BY userIdentity.arn NULLS LAST, eventID, region <> awsRegion, region)
)
SELECT requestParameters->>'$.roleArn' AS roleArn, split_part(roleArn, ':', 5) AS account,
    coalesce(userIdentity.sessionContext.sessionIssuer.arn, userIdentity.arn,
             userIdentity.invokedBy, userIdentity.userName, userIdentity.principalId) AS who,
    count(*) AS calls, count(errorCode) AS refused,
    min(eventTime) AS firstTime, max(eventTime) AS lastTime
FROM calls
GROUP BY ALL
ORDER BY roleArn, calls DESC, who;
