-- What did the same principal do in the hour before a trail was stopped, deleted or changed?
--
-- The call that did it, or tried to, is the last of each group. The principal is the user or the
-- role, whatever the session, so that a change of session does not hide anything.
--
-- Source: MITRE ATT&CK T1562.008, Disable or Modify Cloud Logs.
WITH calls AS (
    SELECT *, coalesce(userIdentity.sessionContext.sessionIssuer.arn, userIdentity.arn,
                 userIdentity.invokedBy, userIdentity.principalId) AS who
    FROM cloudtrail
), stops AS (
    SELECT account, who, eventTime AS stopTime, eventID AS stopID, eventName AS stop,
        coalesce(requestParameters->>'$.name', requestParameters->>'$.trailName',
                 requestParameters->>'$.eventDataStore') AS target
    FROM calls
    WHERE eventSource = 'cloudtrail.amazonaws.com'
      AND eventName IN ('StopLogging', 'DeleteTrail', 'UpdateTrail', 'PutEventSelectors',
                        'DeleteEventDataStore', 'UpdateEventDataStore',
                        'StopEventDataStoreIngestion')
    QUALIFY eventID IS NULL OR 1 = rank() OVER (
        PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
)
SELECT stopTime, stop, target, calls.account, calls.who, eventTime, awsRegion, eventSource,
    eventName, errorCode, sourceIPAddress, eventID
FROM stops JOIN calls ON calls.account = stops.account AND calls.who = stops.who
WHERE eventTime BETWEEN stopTime - INTERVAL 1 HOUR AND stopTime
QUALIFY eventID IS NULL OR 1 = rank() OVER (
    PARTITION BY stopID, calls.account, eventID ORDER BY region <> awsRegion, region)
ORDER BY ALL;
