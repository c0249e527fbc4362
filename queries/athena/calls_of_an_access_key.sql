-- calls_of_an_access_key, for Athena.
--
-- Both copies of a cross-account call are listed: they share a sharedeventid.
--
-- Parameters:
--   key  'AKIAIOSFODNN7EXAMPLE': the access key id, of a user or of a session
WITH wanted AS (
    SELECT CAST(? AS varchar) AS accesskey
), calls AS (
    SELECT cloudtrail.*, coalesce(useridentity.accesskeyid = accesskey, false) AS used,
        eventsource IN ('iam.amazonaws.com', 'sts.amazonaws.com', 'signin.amazonaws.com')
            AND strpos(coalesce(responseelements, ''), '"' || accesskey || '"') > 0 AS givenout
    FROM cloudtrail CROSS JOIN wanted
), once AS (
    SELECT *, rank() OVER (
        PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
    FROM calls
    WHERE used OR givenout
)
SELECT eventtime, what, account, awsregion, eventsource, eventname, errorcode,
    sourceipaddress, useridentity.arn AS who, sharedeventid, eventid
FROM once CROSS JOIN UNNEST(ARRAY['used', 'given out']) AS uses (what)
WHERE (copy = 1 OR eventid IS NULL)
  AND ((what = 'used' AND used) OR (what = 'given out' AND givenout))
ORDER BY eventtime, what, account, eventid
