-- Who stopped, deleted or changed a trail or what it records?
--
-- Attempts that failed are listed too, with their errorCode. UpdateTrail may send the logs to
-- another bucket; PutEventSelectors may leave out the events that matter: read requestParameters.
--
-- Source: MITRE ATT&CK T1562.008, Disable or Modify Cloud Logs.
SELECT eventTime, account, awsRegion, eventName,
    coalesce(requestParameters->>'$.name', requestParameters->>'$.trailName',
             requestParameters->>'$.eventDataStore') AS target,
    errorCode, userIdentity.arn AS who, sourceIPAddress, requestParameters, eventID
FROM cloudtrail
WHERE eventSource = 'cloudtrail.amazonaws.com'
  AND eventName IN ('StopLogging', 'DeleteTrail', 'UpdateTrail', 'PutEventSelectors',
                    'PutInsightSelectors', 'DeleteEventDataStore', 'UpdateEventDataStore',
                    'StopEventDataStoreIngestion', 'DeregisterOrganizationDelegatedAdmin')
QUALIFY eventID IS NULL OR 1 = rank() OVER (
    PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
ORDER BY ALL;
