-- trail_tampering, for Athena.
--
-- Attempts that failed are listed too, with their errorcode. UpdateTrail may send the logs to
-- another bucket; PutEventSelectors may leave out the events that matter: read requestparameters.
SELECT eventtime, account, awsregion, eventname,
    coalesce(json_extract_scalar(requestparameters, '$.name'),
             json_extract_scalar(requestparameters, '$.trailName'),
             json_extract_scalar(requestparameters, '$.eventDataStore')) AS target,
    errorcode, useridentity.arn AS who, sourceipaddress, requestparameters, eventid
FROM (
    SELECT *, rank() OVER (
        PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
    FROM cloudtrail
    WHERE eventsource = 'cloudtrail.amazonaws.com'
      AND eventname IN ('StopLogging', 'DeleteTrail', 'UpdateTrail', 'PutEventSelectors',
                        'PutInsightSelectors', 'DeleteEventDataStore', 'UpdateEventDataStore',
                        'StopEventDataStoreIngestion', 'DeregisterOrganizationDelegatedAdmin')
)
WHERE (copy = 1 OR eventid IS NULL)
ORDER BY eventtime, account, eventid
