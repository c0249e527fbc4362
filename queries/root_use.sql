-- What was done as root?
--
-- Calls that AWS services make for root are left out. assumedRoot is true for the short sessions
-- that an organization's management account takes with AssumeRoot; null is "not said".
--
-- Source: CIS AWS Foundations Benchmark, "Monitoring": use of root.
SELECT eventTime, account, eventSource, eventName, errorCode, sourceIPAddress,
    userIdentity.sessionContext.assumedRoot AS assumedRoot,
    userIdentity.accessKeyId AS accessKeyId, userAgent, eventID
FROM cloudtrail
WHERE userIdentity.type = 'Root'
  AND userIdentity.invokedBy IS NULL
  AND eventType IS DISTINCT FROM 'AwsServiceEvent'
QUALIFY eventID IS NULL OR 1 = rank() OVER (
    PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
ORDER BY ALL;
