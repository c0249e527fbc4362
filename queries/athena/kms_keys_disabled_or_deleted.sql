-- kms_keys_disabled_or_deleted, for Athena.
--
-- A key is lost for good when deletiondate has passed; until then CancelKeyDeletion brings it back.
-- keyid is as it was asked for; the ARN in resources is null where the record does not have it.
SELECT eventtime, account, awsregion, eventname,
    json_extract_scalar(requestparameters, '$.keyId') AS keyid,
    element_at(resources, 1).arn AS keyarn,
    json_extract_scalar(responseelements, '$.deletionDate') AS deletiondate,
    errorcode, useridentity.arn AS who, sourceipaddress, eventid
FROM (
    SELECT *, rank() OVER (
        PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
    FROM cloudtrail
    WHERE eventsource = 'kms.amazonaws.com'
      AND eventname IN ('ScheduleKeyDeletion', 'DisableKey', 'DeleteImportedKeyMaterial')
)
WHERE (copy = 1 OR eventid IS NULL)
ORDER BY eventtime, account, eventid
