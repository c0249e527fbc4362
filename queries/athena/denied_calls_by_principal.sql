-- denied_calls_by_principal, for Athena.
--
-- Services spell it AccessDenied, AccessDeniedException, Client.UnauthorizedOperation,
-- VpceAccessDenied and so on. A cross-account call may be counted once in each account.
SELECT account,
    coalesce(useridentity.sessioncontext.sessionissuer.arn, useridentity.arn,
             useridentity.invokedby, useridentity.principalid) AS who,
    eventsource, eventname, errorcode, count(*) AS denied,
    count(DISTINCT sourceipaddress) AS addresses,
    min(eventtime) AS firsttime, max(eventtime) AS lasttime
FROM (
    SELECT *, rank() OVER (
        PARTITION BY account, eventid ORDER BY region <> awsregion, region) AS copy
    FROM cloudtrail
    WHERE regexp_like(errorcode, '(?i)denied|unauthori[sz]ed|notauthori[sz]ed|forbidden')
)
WHERE (copy = 1 OR eventid IS NULL)
GROUP BY 1, 2, 3, 4, 5
ORDER BY denied DESC, account, who, eventsource, eventname, errorcode
