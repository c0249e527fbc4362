-- Whose calls were denied, and which?
--
-- Services spell it AccessDenied, AccessDeniedException, Client.UnauthorizedOperation,
-- VpceAccessDenied and so on. A cross-account call may be counted once in each account.
--
-- Source: CIS AWS Foundations Benchmark, "Monitoring": unauthorized API calls.
WITH calls AS (
    SELECT *
    FROM cloudtrail
    WHERE regexp_matches(errorCode, 'denied|unauthori[sz]ed|notauthori[sz]ed|forbidden', 'i')
    QUALIFY eventID IS NULL OR 1 = rank() OVER (
        PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
)
SELECT account,
    coalesce(userIdentity.sessionContext.sessionIssuer.arn, userIdentity.arn,
             userIdentity.invokedBy, userIdentity.principalId) AS who,
    eventSource, eventName, errorCode, count(*) AS denied,
    count(DISTINCT sourceIPAddress) AS addresses,
    min(eventTime) AS firstTime, max(eventTime) AS lastTime
FROM calls
GROUP BY ALL
ORDER BY denied DESC, account, who, eventSource, eventName, errorCode;
