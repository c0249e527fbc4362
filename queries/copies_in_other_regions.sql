-- Which events stand in the folders of more than one region, and how often?
-- Sign-ins and calls of global services (IAM, STS) may be delivered to several, as when two trails
-- write to one bucket. copies is what a plain count of rows has too many. Events without an eventID
-- cannot be told. Let the view hold weeks, not years.
WITH events AS (
    SELECT account, eventID, min(eventSource) AS eventSource, min(eventName) AS eventName,
        list(DISTINCT region ORDER BY region) AS regions, min(eventTime) AS eventTime
    FROM cloudtrail
    WHERE eventID IS NOT NULL
    GROUP BY account, eventID
    HAVING count(DISTINCT region) > 1
)
SELECT account, eventSource, eventName, regions, count(*) AS events,
    sum(len(regions) - 1)::BIGINT AS copies,
    min(eventTime) AS firstTime, max(eventTime) AS lastTime
FROM events
GROUP BY account, eventSource, eventName, regions
ORDER BY copies DESC, account, eventSource, eventName, regions;
