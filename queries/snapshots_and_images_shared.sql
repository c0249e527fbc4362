-- Which snapshots and images were made public or shared with other accounts?
--
-- sharedWith holds account ids, organization ARNs, or all, which is everybody.
--
-- Source: MITRE ATT&CK T1537, Transfer Data to Cloud Account.
WITH calls AS (
    SELECT *, list_concat(
        requestParameters->>'$.createVolumePermission.add.items[*].*',
        requestParameters->>'$.launchPermission.add.items[*].*',
        requestParameters->>'$.valuesToAdd[*]') AS sharedWith
    FROM cloudtrail
    WHERE errorCode IS NULL
      AND eventName IN ('ModifySnapshotAttribute', 'ModifyImageAttribute',
                        'ModifyDBSnapshotAttribute', 'ModifyDBClusterSnapshotAttribute')
    QUALIFY eventID IS NULL OR 1 = rank() OVER (
        PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
)
SELECT eventTime, account, awsRegion, eventName,
    coalesce(requestParameters->>'$.snapshotId', requestParameters->>'$.imageId',
             requestParameters->>'$.dBSnapshotIdentifier',
             requestParameters->>'$.dBClusterSnapshotIdentifier') AS target,
    list_contains(sharedWith, 'all') AS public, sharedWith,
    userIdentity.arn AS who, sourceIPAddress, eventID
FROM calls
WHERE len(sharedWith) > 0
ORDER BY ALL;
