-- What was done with one access key, and which call gave it out?
--
-- Both copies of a cross-account call are listed: they share a sharedEventID.
--
-- Parameters:
--   key  AKIAIOSFODNN7EXAMPLE: the access key id, of a user or of a session (required)
-- Source: MITRE ATT&CK T1552, Unsecured Credentials.
SELECT eventTime, 'used' AS what, account, awsRegion, eventSource, eventName, errorCode,
    sourceIPAddress, userIdentity.arn AS who, sharedEventID, eventID
FROM cloudtrail
WHERE userIdentity.accessKeyId = getvariable('key')
QUALIFY eventID IS NULL OR 1 = rank() OVER (
    PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
UNION ALL
SELECT eventTime, 'given out', account, awsRegion, eventSource, eventName, errorCode,
    sourceIPAddress, userIdentity.arn, sharedEventID, eventID
FROM cloudtrail
WHERE eventSource IN ('iam.amazonaws.com', 'sts.amazonaws.com', 'signin.amazonaws.com')
  AND contains(responseElements, '"' || getvariable('key') || '"')
QUALIFY eventID IS NULL OR 1 = rank() OVER (
    PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
ORDER BY ALL;
