-- fields_without_a_column, for Athena.
--
-- A field with a column's name that shows here has a value of another kind, or new members: look at
-- the example. Its column holds whatever did fit. exactText is left out: it is not a field, but the
-- text of unmapped as it was before anything that some readers of JSON refuse was changed in it.
WITH records AS (
    SELECT *
    FROM (
        SELECT *, rank() OVER (
            PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
        FROM cloudtrail
        WHERE unmapped IS NOT NULL
    )
    WHERE (copy = 1 OR eventid IS NULL)
)
SELECT field, account, eventsource, eventversion, count(*) AS records,
    min(eventtime) AS firsttime, max(eventtime) AS lasttime, min(unmapped) AS example
FROM records
CROSS JOIN UNNEST(map_keys(CAST(json_parse(unmapped) AS MAP(VARCHAR, JSON)))) AS fields (field)
WHERE field <> 'exactText'
GROUP BY 1, 2, 3, 4
ORDER BY field, account, eventsource, eventversion
