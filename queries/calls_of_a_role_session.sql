-- What was done in one role session?
--
-- A session's name may be used again: sessionBegan and the access key tell them apart.
--
-- Parameters:
--   session  arn:aws:sts::012345678901:assumed-role/reader/ada: ARN of the session (required)
-- Source: CloudTrail User Guide, "CloudTrail userIdentity element".
SELECT eventTime, userIdentity.sessionContext.attributes.creationDate AS sessionBegan,
    userIdentity.accessKeyId AS accessKeyId, account, awsRegion, eventSource, eventName,
    errorCode, sourceIPAddress, requestParameters, eventID
FROM cloudtrail
WHERE userIdentity.arn = getvariable('session')
QUALIFY eventID IS NULL OR 1 = rank() OVER (
    PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
ORDER BY ALL;
