-- What was done with one access key, and which call gave it out?
-- Variable: access_key, such as AKIAIOSFODNN7EXAMPLE; without it nothing is found.
-- Both copies of a cross-account call are listed: they share a sharedEventID.
SELECT eventTime, 'used' AS what, account, awsRegion, eventSource, eventName, errorCode,
    sourceIPAddress, userIdentity.arn AS who, sharedEventID, eventID
FROM cloudtrail
WHERE userIdentity.accessKeyId = getvariable('access_key')
QUALIFY eventID IS NULL OR 1 = rank() OVER (
    PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
UNION ALL
SELECT eventTime, 'given out', account, awsRegion, eventSource, eventName, errorCode,
    sourceIPAddress, userIdentity.arn, sharedEventID, eventID
FROM cloudtrail
WHERE eventSource IN ('iam.amazonaws.com', 'sts.amazonaws.com', 'signin.amazonaws.com')
  AND contains(responseElements, '"' || getvariable('access_key') || '"')
QUALIFY eventID IS NULL OR 1 = rank() OVER (
    PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
ORDER BY ALL;
