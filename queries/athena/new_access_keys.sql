-- new_access_keys, for Athena.
--
-- The request names no user when somebody makes a key for himself; the answer always does.
SELECT eventtime, account,
    json_extract_scalar(responseelements, '$.accessKey.userName') AS foruser,
    json_extract_scalar(responseelements, '$.accessKey.accessKeyId') AS newaccesskey,
    useridentity.arn AS who, sourceipaddress, eventid
FROM (
    SELECT *, rank() OVER (
        PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
    FROM cloudtrail
    WHERE eventsource = 'iam.amazonaws.com'
      AND eventname = 'CreateAccessKey'
      AND errorcode IS NULL
)
WHERE (copy = 1 OR eventid IS NULL)
ORDER BY eventtime, account, eventid
