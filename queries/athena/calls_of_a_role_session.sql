-- calls_of_a_role_session, for Athena.
--
-- A session's name may be used again: sessionbegan and the access key tell them apart.
--
-- Parameters:
--   session  'arn:aws:sts::012345678901:assumed-role/reader/ada': ARN of the session
SELECT eventtime, useridentity.sessioncontext.attributes.creationdate AS sessionbegan,
    useridentity.accesskeyid AS accesskeyid, account, awsregion, eventsource, eventname,
    errorcode, sourceipaddress, requestparameters, eventid
FROM (
    SELECT *, rank() OVER (
        PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
    FROM cloudtrail
    WHERE useridentity.arn = ?
)
WHERE (copy = 1 OR eventid IS NULL)
ORDER BY eventtime, account, eventid
