-- Which events were delivered to more than one region, and how often?
--
-- Sign-ins and calls of global services (IAM, STS) may be delivered to several, as when two trails
-- write to one bucket. copies is how many rows a plain count has too many. Events without an
-- eventID cannot be matched. Let the view hold weeks, not years.
--
-- Source: CloudTrail User Guide, "CloudTrail concepts": global service events.
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
