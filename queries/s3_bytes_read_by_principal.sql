-- Who read how many bytes from which bucket?
--
-- fromAccount is the reader's, anonymous for everybody. objects are different keys. A call that
-- both accounts recorded, with one sharedEventID, counts once. CopyObject from a bucket moves no
-- bytes out of S3 and is not seen here. Needs S3 data events: there are none unless the trail
-- records them.
--
-- Parameters:
--   bucket  orders: the name of the bucket (default all buckets)
-- Source: MITRE ATT&CK T1530, Data from Cloud Storage.
WITH calls AS (
    SELECT *, requestParameters->>'$.bucketName' AS bucket,
        coalesce(sharedEventID, account || eventID) AS action
    FROM cloudtrail
    WHERE eventSource = 's3.amazonaws.com'
      AND eventName IN ('GetObject', 'SelectObjectContent', 'GetObjectTorrent')
      AND (requestParameters->>'$.bucketName')
          = coalesce(getvariable('bucket'), requestParameters->>'$.bucketName')
    QUALIFY action IS NULL OR 1 = row_number() OVER (
        PARTITION BY action
        ORDER BY userIdentity.arn NULLS LAST, eventID, region <> awsRegion, region)
)
SELECT account, bucket, userIdentity.accountId AS fromAccount,
    coalesce(userIdentity.sessionContext.sessionIssuer.arn, userIdentity.arn,
             userIdentity.invokedBy, userIdentity.principalId) AS who,
    sum(TRY_CAST(additionalEventData->>'$.bytesTransferredOut' AS DOUBLE))::BIGINT AS bytes,
    count(DISTINCT requestParameters->>'$.key') AS objects,
    count(*) AS calls, count(errorCode) AS refused, count(DISTINCT sourceIPAddress) AS addresses,
    min(eventTime) AS firstTime, max(eventTime) AS lastTime
FROM calls
GROUP BY ALL
ORDER BY bytes DESC NULLS LAST, account, bucket, who, fromAccount;
