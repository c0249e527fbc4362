-- What does one event say, in full?
-- Variable: event_id; without it nothing is found. Its copies in other regions are shown,
-- too; those in other accounts have other ids and the same sharedEventID. A correction is another
-- event, which names it in addendum.
SELECT *
FROM cloudtrail
WHERE eventID = getvariable('event_id')
ORDER BY eventTime, account, region;
