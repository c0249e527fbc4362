-- Which KMS keys were disabled or scheduled for deletion?
--
-- A key is lost for good when deletionDate has passed; until then CancelKeyDeletion brings it back.
-- keyId is as it was asked for; the ARN in resources is null where the record does not have it.
--
-- Source: CIS AWS Foundations Benchmark, "Monitoring": disabled or deleted keys.
SELECT eventTime, account, awsRegion, eventName, requestParameters->>'$.keyId' AS keyId,
    resources[1].ARN AS keyArn, responseElements->>'$.deletionDate' AS deletionDate,
    errorCode, userIdentity.arn AS who, sourceIPAddress, eventID
FROM cloudtrail
WHERE eventSource = 'kms.amazonaws.com'
  AND eventName IN ('ScheduleKeyDeletion', 'DisableKey', 'DeleteImportedKeyMaterial')
QUALIFY eventID IS NULL OR 1 = rank() OVER (
    PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
ORDER BY ALL;
