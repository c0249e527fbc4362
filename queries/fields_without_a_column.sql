-- Which fields have no column, or hold what does not fit theirs?
--
-- A field with a column's name that shows here has a value of another kind, or new members: look at
-- the example. Its column holds whatever did fit. exactText is left out: it is not a field, but the
-- text of unmapped as it was before anything that some readers of JSON refuse was changed in it.
--
-- Source: the column unmapped of this dataset.
WITH records AS (
    SELECT *
    FROM cloudtrail
    WHERE unmapped IS NOT NULL
    QUALIFY eventID IS NULL OR 1 = rank() OVER (
        PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
)
SELECT field, account, eventSource, eventVersion, count(*) AS records,
    min(eventTime) AS firstTime, max(eventTime) AS lastTime, min(unmapped) AS example
FROM records, unnest(json_keys(unmapped)) AS fields (field)
WHERE field <> 'exactText'
GROUP BY ALL
ORDER BY field, account, eventSource, eventVersion;
