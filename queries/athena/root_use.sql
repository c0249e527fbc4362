-- root_use, for Athena.
--
-- Calls that AWS services make for root are left out. assumedroot is true for the short sessions
-- that an organization's management account takes with AssumeRoot; null is "not said".
SELECT eventtime, account, eventsource, eventname, errorcode, sourceipaddress,
    useridentity.sessioncontext.assumedroot AS assumedroot,
    useridentity.accesskeyid AS accesskeyid, useragent, eventid
FROM (
    SELECT *, rank() OVER (
        PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
    FROM cloudtrail
    WHERE useridentity.type = 'Root'
      AND useridentity.invokedby IS NULL
      AND eventtype IS DISTINCT FROM 'AwsServiceEvent'
)
WHERE (copy = 1 OR eventid IS NULL)
ORDER BY eventtime, account, eventid
