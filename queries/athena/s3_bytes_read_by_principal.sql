-- s3_bytes_read_by_principal, for Athena.
--
-- fromaccount is the reader's, anonymous for everybody. objects are different keys. A call that
-- both accounts recorded, with one sharedeventid, counts once. CopyObject from a bucket moves no
-- bytes out of S3 and is not seen here. Needs S3 data events: there are none unless the trail
-- records them.
--
-- Parameters:
--   bucket  '%': a pattern for the name of the bucket
WITH calls AS (
    SELECT *, json_extract_scalar(requestparameters, '$.bucketName') AS bucket,
        coalesce(sharedeventid, account || eventid) AS action
    FROM cloudtrail
    WHERE eventsource = 's3.amazonaws.com'
      AND eventname IN ('GetObject', 'SelectObjectContent', 'GetObjectTorrent')
      AND json_extract_scalar(requestparameters, '$.bucketName') LIKE ?
), ranked AS (
    SELECT *, useridentity.accountid AS fromaccount,
        coalesce(useridentity.sessioncontext.sessionissuer.arn, useridentity.arn,
                 useridentity.invokedby, useridentity.principalid) AS who,
        row_number() OVER (
            PARTITION BY action
            ORDER BY useridentity.arn NULLS LAST, eventid, region <> awsregion, region) AS copy
    FROM calls
)
SELECT account, bucket, fromaccount, who,
    CAST(sum(TRY_CAST(json_extract_scalar(additionaleventdata, '$.bytesTransferredOut')
                      AS double)) AS bigint) AS bytes,
    count(DISTINCT json_extract_scalar(requestparameters, '$.key')) AS objects,
    count(*) AS calls, count(errorcode) AS refused, count(DISTINCT sourceipaddress) AS addresses,
    min(eventtime) AS firsttime, max(eventtime) AS lasttime
FROM ranked
WHERE copy = 1 OR action IS NULL
GROUP BY account, bucket, fromaccount, who
ORDER BY bytes DESC NULLS LAST, account, bucket, who, fromaccount
