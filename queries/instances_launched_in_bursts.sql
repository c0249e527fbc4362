-- Who launched many instances within an hour?
--
-- Where an answer is missing or was too long to be recorded, a launch counts as one instance.
-- Attempts that failed count as well: somebody who mines coins runs into limits first. Fleets and
-- auto scaling launch by RunInstances too; then invokedBy names them.
--
-- Parameters:
--   least  10: instances and failed launches in an hour (default 10)
-- Source: MITRE ATT&CK T1496, Resource Hijacking.
WITH launches AS (
    SELECT *, if(errorCode IS NULL, coalesce(
        json_array_length(responseElements->'$.instancesSet.items'), 1), 0) AS launched
    FROM cloudtrail
    WHERE eventSource = 'ec2.amazonaws.com' AND eventName = 'RunInstances'
    QUALIFY eventID IS NULL OR 1 = rank() OVER (
        PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
)
SELECT account, date_trunc('hour', eventTime) AS hour,
    coalesce(userIdentity.sessionContext.sessionIssuer.arn, userIdentity.arn,
             userIdentity.principalId) AS who,
    userIdentity.invokedBy AS invokedBy, sum(launched)::BIGINT AS instances,
    count(errorCode) AS failed,
    list(DISTINCT requestParameters->>'$.instanceType'
         ORDER BY requestParameters->>'$.instanceType') AS types,
    list(DISTINCT awsRegion ORDER BY awsRegion) AS regions,
    min(eventTime) AS firstTime, max(eventTime) AS lastTime
FROM launches
GROUP BY ALL
HAVING sum(launched) + count(errorCode) >= coalesce(getvariable('least')::BIGINT, 10)
ORDER BY instances DESC, account, hour, who, invokedBy;
