-- How many deletes did one bucket see each day, and by whom?
--
-- Since June 2025 a DeleteObjects comes with a DeleteObject for each object; before, one such
-- request might delete a thousand. Days are in UTC. Needs S3 data events: there are none unless the
-- trail records them.
--
-- Parameters:
--   bucket  orders: the name of the bucket (required)
-- Source: MITRE ATT&CK T1485, Data Destruction.
WITH deletes AS (
    SELECT *
    FROM cloudtrail
    WHERE eventSource = 's3.amazonaws.com'
      AND eventName IN ('DeleteObject', 'DeleteObjects', 'DeleteObjectVersion')
      AND (requestParameters->>'$.bucketName') = getvariable('bucket')
    QUALIFY eventID IS NULL OR 1 = rank() OVER (
        PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
)
SELECT make_date(year, month, day) AS date, account, eventName,
    coalesce(userIdentity.sessionContext.sessionIssuer.arn, userIdentity.arn,
             userIdentity.invokedBy, userIdentity.principalId) AS who,
    count(*) AS calls, count(errorCode) AS refused
FROM deletes
GROUP BY ALL
ORDER BY date, calls DESC, account, eventName, who;
