-- Who still calls with TLS below 1.2?
--
-- Null is "not said": calls that a service makes for somebody have no tlsDetails, nor do records
-- before version 1.08.
--
-- Source: AWS Security Blog, TLS 1.2 as the minimum for all endpoints.
WITH calls AS (
    SELECT *
    FROM cloudtrail
    WHERE tlsDetails.tlsVersion IN ('SSLv3', 'TLSv1', 'TLSv1.0', 'TLSv1.1')
    QUALIFY eventID IS NULL OR 1 = rank() OVER (
        PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
)
SELECT account,
    coalesce(userIdentity.sessionContext.sessionIssuer.arn, userIdentity.arn,
             userIdentity.invokedBy, userIdentity.principalId) AS who,
    tlsDetails.tlsVersion AS tlsVersion, userAgent, sourceIPAddress, count(*) AS calls,
    min(eventTime) AS firstTime, max(eventTime) AS lastTime
FROM calls
GROUP BY ALL
ORDER BY calls DESC, account, who, tlsVersion, userAgent, sourceIPAddress;
