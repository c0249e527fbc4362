-- s3_deletes_of_a_bucket_by_day, for Athena.
--
-- Since June 2025 a DeleteObjects comes with a DeleteObject for each object; before, one such
-- request might delete a thousand. Days are in UTC. Needs S3 data events: there are none unless the
-- trail records them. Needs S3 data events: there are none unless the trail records them.
--
-- Parameters:
--   bucket  'orders': the name of the bucket
SELECT date, account, eventname,
    coalesce(useridentity.sessioncontext.sessionissuer.arn, useridentity.arn,
             useridentity.invokedby, useridentity.principalid) AS who,
    count(*) AS calls, count(errorcode) AS refused
FROM (
    SELECT *, rank() OVER (
        PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
    FROM cloudtrail
    WHERE eventsource = 's3.amazonaws.com'
      AND eventname IN ('DeleteObject', 'DeleteObjects', 'DeleteObjectVersion')
      AND json_extract_scalar(requestparameters, '$.bucketName') = ?
)
WHERE (copy = 1 OR eventid IS NULL)
GROUP BY 1, 2, 3, 4
ORDER BY date, calls DESC, account, eventname, who
