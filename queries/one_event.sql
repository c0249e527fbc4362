-- What does one event say, in full?
--
-- Its copies in other regions are shown, too; those in other accounts have other ids and the same
-- sharedEventID. A correction is another event, which names it in addendum.
--
-- Parameters:
--   event_id  01234567-89ab-cdef-0123-456789abcdef: the eventID (required)
-- Source: CloudTrail User Guide, "CloudTrail record contents".
SELECT *
FROM cloudtrail
WHERE eventID = getvariable('event_id')
ORDER BY eventTime, account, region;
