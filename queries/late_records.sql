-- Which records came late, or correct an earlier one?
--
-- This reads the files itself, whatever the view shows: only their names say that a record came
-- after the window of its day, and on which day. AWS's own mark is addendum. An UPDATED_DATA record
-- does not replace the one it corrects: both are there. A record that was delivered to several
-- regions is listed for each.
--
-- Parameters:
--   dataset  cloudtrail: the location of the dataset (default cloudtrail)
-- Source: CloudTrail User Guide, "CloudTrail record contents": addendum.
SELECT eventTime, account, region,
    try_strptime(
        regexp_extract(filename, 'straggler-([0-9]{8})-[0-9of-]+\.parquet$', 1), '%Y%m%d')::DATE
        AS deliveredOn,
    addendum.reason AS reason, addendum.originalEventID AS originalEventID,
    eventSource, eventName, eventID
FROM read_parquet(
    coalesce(getvariable('dataset'), 'cloudtrail') || '/**/*.parquet', filename = true,
    hive_partitioning = true, hive_types_autocast = false)
WHERE deliveredOn IS NOT NULL OR addendum IS NOT NULL
ORDER BY ALL;
