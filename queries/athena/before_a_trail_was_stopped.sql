-- before_a_trail_was_stopped, for Athena.
--
-- The call that did it, or tried to, is the last of each group. The principal is the user or the
-- role, whatever the session, so that a change of session does not hide anything. The days are read
-- twice.
WITH calls AS (
    SELECT *, coalesce(useridentity.sessioncontext.sessionissuer.arn, useridentity.arn,
                 useridentity.invokedby, useridentity.principalid) AS who
    FROM cloudtrail
), stops AS (
    SELECT account, who, eventtime AS stoptime, eventid AS stopid, eventname AS stop,
        coalesce(json_extract_scalar(requestparameters, '$.name'),
                 json_extract_scalar(requestparameters, '$.trailName'),
                 json_extract_scalar(requestparameters, '$.eventDataStore')) AS target
    FROM (
        SELECT *, rank() OVER (
            PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
        FROM calls
        WHERE eventsource = 'cloudtrail.amazonaws.com'
          AND eventname IN ('StopLogging', 'DeleteTrail', 'UpdateTrail', 'PutEventSelectors',
                            'DeleteEventDataStore', 'UpdateEventDataStore',
                            'StopEventDataStoreIngestion')
    )
    WHERE (copy = 1 OR eventid IS NULL)
), before AS (
    SELECT stoptime, stop, target, calls.account, calls.who, eventtime, awsregion, eventsource,
        eventname, errorcode, sourceipaddress, eventid, rank() OVER (
            PARTITION BY stopid, calls.account, eventid
            ORDER BY region <> awsregion, region) AS copy
    FROM stops JOIN calls ON calls.account = stops.account AND calls.who = stops.who
    WHERE eventtime BETWEEN stoptime - INTERVAL '1' HOUR AND stoptime
)
SELECT stoptime, stop, target, account, who, eventtime, awsregion, eventsource, eventname,
    errorcode, sourceipaddress, eventid
FROM before
WHERE (copy = 1 OR eventid IS NULL)
ORDER BY stoptime, stop, target, account, who, eventtime, eventid
