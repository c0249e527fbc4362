-- one_event, for Athena.
--
-- Its copies in other regions are shown, too; those in other accounts have other ids and the same
-- sharedeventid. A correction is another event, which names it in addendum.
--
-- Parameters:
--   event_id  '01234567-89ab-cdef-0123-456789abcdef': the eventID
SELECT *
FROM cloudtrail
WHERE eventid = ?
ORDER BY eventtime, account, region
