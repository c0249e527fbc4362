-- tls_below_1_2, for Athena.
--
-- Null is "not said": calls that a service makes for somebody have no tlsdetails, nor do records
-- before version 1.08.
SELECT account,
    coalesce(useridentity.sessioncontext.sessionissuer.arn, useridentity.arn,
             useridentity.invokedby, useridentity.principalid) AS who,
    tlsdetails.tlsversion AS tlsversion, useragent, sourceipaddress, count(*) AS calls,
    min(eventtime) AS firsttime, max(eventtime) AS lasttime
FROM (
    SELECT *, rank() OVER (
        PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
    FROM cloudtrail
    WHERE tlsdetails.tlsversion IN ('SSLv3', 'TLSv1', 'TLSv1.0', 'TLSv1.1')
)
WHERE (copy = 1 OR eventid IS NULL)
GROUP BY 1, 2, 3, 4, 5
ORDER BY calls DESC, account, who, tlsversion, useragent, sourceipaddress
