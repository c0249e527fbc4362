-- Parameters: event_id, such as '01234567-89ab-cdef-0123-456789abcdef'
-- Its copies in other regions are shown, too; those in other accounts have other ids and the same
-- sharedeventid. A correction is another event, which names it in addendum.
SELECT *
FROM cloudtrail
WHERE eventid = ?
ORDER BY eventtime, account, region
