-- In which hours were far more of a principal's calls denied than usual?
--
-- Found are hours with at least so many denied calls, and three times as many as the mean of the
-- other hours in which that principal was denied anything; usual is that mean, null if there is no
-- other. Many different calls in a short time are somebody who tries out what is allowed.
--
-- Parameters:
--   least  20: denied calls in an hour (default 20)
-- Source: MITRE ATT&CK T1580, Cloud Infrastructure Discovery.
WITH calls AS (
    SELECT *
    FROM cloudtrail
    WHERE regexp_matches(errorCode, 'denied|unauthori[sz]ed|notauthori[sz]ed|forbidden', 'i')
    QUALIFY eventID IS NULL OR 1 = rank() OVER (
        PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
), hours AS (
    SELECT account,
        coalesce(userIdentity.sessionContext.sessionIssuer.arn, userIdentity.arn,
                 userIdentity.invokedBy, userIdentity.principalId) AS who,
        date_trunc('hour', eventTime) AS hour, count(*) AS denied,
        count(DISTINCT eventSource || ':' || eventName) AS differentCalls,
        count(DISTINCT sourceIPAddress) AS addresses,
        list(DISTINCT eventSource ORDER BY eventSource) AS services
    FROM calls
    GROUP BY ALL
), compared AS (
    SELECT *, (sum(denied) OVER principal - denied) / nullif(count(*) OVER principal - 1, 0)
        AS usual
    FROM hours
    WINDOW principal AS (PARTITION BY account, who)
)
SELECT account, who, hour, denied, usual, differentCalls, addresses, services
FROM compared
WHERE denied >= coalesce(getvariable('least')::BIGINT, 20) AND denied >= 3 * coalesce(usual, 0)
ORDER BY denied DESC, account, who, hour;
