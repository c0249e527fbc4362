-- From which networks was each principal first seen, and when?
--
-- A network is the /24 of an IPv4 address, the /48 of an IPv6 one. Names of services and of hosts
-- do not count. CloudTrail records no countries; a table of networks and countries can be joined.
-- Let the view hold as much of the past as there is: what it does not show is first seen later.
--
-- Parameters:
--   since      2026-01-11: only networks first seen on this day, in UTC, or after (default all)
--   principal  arn:aws:iam::012345678901:role/reader: a user or a role, not a session (default all)
-- Source: MITRE ATT&CK T1078.004, Valid Accounts: Cloud Accounts.
WITH calls AS (
    SELECT account, eventTime, make_date(year, month, day) AS date, sourceIPAddress,
        coalesce(userIdentity.sessionContext.sessionIssuer.arn, userIdentity.arn,
                 userIdentity.principalId) AS who,
        CASE WHEN contains(sourceIPAddress, ':')
            THEN regexp_replace(
                regexp_extract(sourceIPAddress, '^[^:]*(:[^:]+){0,2}'), '(:0)+$', '') || '::/48'
            ELSE regexp_replace(sourceIPAddress, '[0-9]+$', '0/24') END AS network
    FROM cloudtrail
    WHERE regexp_matches(sourceIPAddress, '^[0-9]+(\.[0-9]+){3}$|:')
)
SELECT account, who, network, min(eventTime) AS firstTime, max(eventTime) AS lastTime,
    count(DISTINCT sourceIPAddress) AS addresses, count(DISTINCT date) AS days,
    min_by(sourceIPAddress, {'time': eventTime, 'address': sourceIPAddress}) AS firstAddress
FROM calls
WHERE who = coalesce(getvariable('principal'), who)
GROUP BY account, who, network
HAVING coalesce(min(date) >= getvariable('since')::DATE, true)
ORDER BY account, who, firstTime, network;
