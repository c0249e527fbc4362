-- copies_in_other_regions, for Athena.
--
-- Sign-ins and calls of global services (IAM, STS) may be delivered to several, as when two trails
-- write to one bucket. copies is how many rows a plain count has too many. Events without an
-- eventid cannot be matched.
WITH events AS (
    SELECT account, eventid, min(eventsource) AS eventsource, min(eventname) AS eventname,
        array_agg(DISTINCT region ORDER BY region) AS regions, min(eventtime) AS eventtime
    FROM cloudtrail
    WHERE eventid IS NOT NULL
    GROUP BY account, eventid
    HAVING count(DISTINCT region) > 1
)
SELECT account, eventsource, eventname, regions, count(*) AS events,
    sum(cardinality(regions) - 1) AS copies,
    min(eventtime) AS firsttime, max(eventtime) AS lasttime
FROM events
GROUP BY account, eventsource, eventname, regions
ORDER BY copies DESC, account, eventsource, eventname, regions
