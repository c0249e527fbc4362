-- snapshots_and_images_shared, for Athena.
--
-- sharedwith holds account ids, organization ARNs, or all, which is everybody.
WITH calls AS (
    SELECT *,
        flatten(transform(coalesce(TRY(CAST(json_extract(
            requestparameters, '$.createVolumePermission.add.items')
            AS ARRAY(MAP(VARCHAR, VARCHAR)))), ARRAY[]), item -> map_values(item)))
        || flatten(transform(coalesce(TRY(CAST(json_extract(
            requestparameters, '$.launchPermission.add.items')
            AS ARRAY(MAP(VARCHAR, VARCHAR)))), ARRAY[]), item -> map_values(item)))
        || coalesce(TRY(CAST(json_extract(requestparameters, '$.valuesToAdd')
            AS ARRAY(VARCHAR))), ARRAY[]) AS sharedwith
    FROM (
        SELECT *, rank() OVER (
            PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
        FROM cloudtrail
        WHERE errorcode IS NULL
          AND eventname IN ('ModifySnapshotAttribute', 'ModifyImageAttribute',
                            'ModifyDBSnapshotAttribute', 'ModifyDBClusterSnapshotAttribute')
    )
    WHERE (copy = 1 OR eventid IS NULL)
)
SELECT eventtime, account, awsregion, eventname,
    coalesce(json_extract_scalar(requestparameters, '$.snapshotId'),
             json_extract_scalar(requestparameters, '$.imageId'),
             json_extract_scalar(requestparameters, '$.dBSnapshotIdentifier'),
             json_extract_scalar(requestparameters, '$.dBClusterSnapshotIdentifier')) AS target,
    contains(sharedwith, 'all') AS public, sharedwith,
    useridentity.arn AS who, sourceipaddress, eventid
FROM calls
WHERE cardinality(sharedwith) > 0
ORDER BY eventtime, account, eventid
