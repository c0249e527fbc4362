-- Which fields have no column, or hold what does not fit theirs?
-- A field with a column's name that shows here has a value of another kind, or new members: look at
-- the example. Its column holds whatever did fit.
SELECT field, account, eventSource, eventVersion, count(*) AS records,
    min(eventTime) AS firstTime, max(eventTime) AS lastTime, min(unmapped) AS example
FROM cloudtrail, unnest(json_keys(unmapped)) AS fields (field)
GROUP BY ALL
ORDER BY field, account, eventSource, eventVersion;
