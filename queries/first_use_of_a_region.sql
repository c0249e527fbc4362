-- Which accounts used a region for the first time, and who began?
--
-- Accounts that the view shows only since then are left out: all their regions are new. Calls that
-- AWS services make for somebody, and service events, do not count. Inventories read every region:
-- firstWrite is when something was first changed there, null if nothing was.
--
-- Parameters:
--   since  2026-01-11: the first day, in UTC, of what is new (default 7 days ago)
-- Source: MITRE ATT&CK T1535, Unused/Unsupported Cloud Regions.
WITH calls AS (
    SELECT account, awsRegion, eventTime, readOnly, eventSource, eventName, sourceIPAddress,
        make_date(year, month, day) AS date,
        coalesce(userIdentity.sessionContext.sessionIssuer.arn, userIdentity.arn,
                 userIdentity.principalId) AS who,
        {'time': eventTime, 'id': coalesce(eventID, '')} AS place
    FROM cloudtrail
    WHERE userIdentity.invokedBy IS NULL AND eventType IS DISTINCT FROM 'AwsServiceEvent'
), regions AS (
    SELECT account, awsRegion, min(eventTime) AS firstTime,
        min(eventTime) FILTER (readOnly = false) AS firstWrite,
        min_by(who, place) AS who, min_by(sourceIPAddress, place) AS sourceIPAddress,
        min_by(eventSource, place) AS eventSource, min_by(eventName, place) AS eventName,
        count(DISTINCT who) AS principals, min(date) AS firstDate,
        min(firstDate) OVER (PARTITION BY account) AS accountsFirstDate
    FROM calls
    GROUP BY account, awsRegion
)
SELECT * EXCLUDE (firstDate, accountsFirstDate)
FROM regions
WHERE firstDate >= coalesce(getvariable('since')::DATE, current_date - 7)
  AND accountsFirstDate < coalesce(getvariable('since')::DATE, current_date - 7)
ORDER BY account, firstTime, awsRegion;
