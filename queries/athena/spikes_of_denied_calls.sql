-- spikes_of_denied_calls, for Athena.
--
-- Found are hours with at least so many denied calls, and three times as many as the mean of the
-- other hours in which that principal was denied anything; usual is that mean, null if there is no
-- other. Many different calls in a short time are somebody who tries out what is allowed.
--
-- Parameters:
--   least  20: denied calls in an hour
WITH calls AS (
    SELECT *, date_trunc('hour', eventtime) AS hour,
        coalesce(useridentity.sessioncontext.sessionissuer.arn, useridentity.arn,
                 useridentity.invokedby, useridentity.principalid) AS who
    FROM (
        SELECT *, rank() OVER (
            PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
        FROM cloudtrail
        WHERE regexp_like(errorcode, '(?i)denied|unauthori[sz]ed|notauthori[sz]ed|forbidden')
    )
    WHERE (copy = 1 OR eventid IS NULL)
), hours AS (
    SELECT account, who, hour, count(*) AS denied,
        count(DISTINCT eventsource || ':' || eventname) AS differentcalls,
        count(DISTINCT sourceipaddress) AS addresses,
        array_agg(DISTINCT eventsource ORDER BY eventsource) AS services
    FROM calls
    GROUP BY account, who, hour
), compared AS (
    SELECT *, CAST(sum(denied) OVER (PARTITION BY account, who) - denied AS double)
        / nullif(count(*) OVER (PARTITION BY account, who) - 1, 0) AS usual
    FROM hours
)
SELECT account, who, hour, denied, usual, differentcalls, addresses, services
FROM compared
WHERE denied >= CAST(? AS bigint) AND denied >= 3 * coalesce(usual, 0)
ORDER BY denied DESC, account, who, hour
