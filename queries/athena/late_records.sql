-- late_records, for Athena.
--
-- Only the names of files say that a record came after the window of its day, and on which day.
-- AWS's own mark is addendum. An UPDATED_DATA record does not replace the one it corrects: both are
-- there. A record that was delivered to several regions is listed for each.
WITH marked AS (
    SELECT *, CAST(TRY(date_parse(
        regexp_extract(path, 'straggler-([0-9]{8})-[0-9of-]+\.parquet$', 1), '%Y%m%d')) AS date)
        AS deliveredon
    FROM cloudtrail
)
SELECT eventtime, account, region, deliveredon, addendum.reason AS reason,
    addendum.originaleventid AS originaleventid, eventsource, eventname, eventid
FROM marked
WHERE deliveredon IS NOT NULL OR addendum IS NOT NULL
ORDER BY eventtime, account, region, eventid
