-- first_seen_addresses_by_principal, for Athena.
--
-- A network is the /24 of an IPv4 address, the /48 of an IPv6 one. Names of services and of hosts
-- do not count. CloudTrail records no countries; a table of networks and countries can be joined.
-- What is before the days that are read is first seen later.
--
-- Parameters:
--   principal  '%': a pattern for ARNs of users or of roles, not of sessions
--   since      DATE '2026-01-11': only networks first seen on this day or after
WITH calls AS (
    SELECT account, eventtime, date, sourceipaddress,
        coalesce(useridentity.sessioncontext.sessionissuer.arn, useridentity.arn,
                 useridentity.principalid) AS who,
        CASE WHEN strpos(sourceipaddress, ':') > 0
            THEN regexp_replace(
                regexp_extract(sourceipaddress, '^[^:]*(:[^:]+){0,2}'), '(:0)+$', '') || '::/48'
            ELSE regexp_replace(sourceipaddress, '[0-9]+$', '0/24') END AS network
    FROM cloudtrail
    WHERE regexp_like(sourceipaddress, '^[0-9]+(\.[0-9]+){3}$|:')
)
SELECT account, who, network, min(eventtime) AS firsttime, max(eventtime) AS lasttime,
    count(DISTINCT sourceipaddress) AS addresses, count(DISTINCT date) AS days,
    min_by(sourceipaddress, ROW(eventtime, sourceipaddress)) AS firstaddress
FROM calls
WHERE who LIKE ?
GROUP BY account, who, network
HAVING min(date) >= CAST(? AS date)
ORDER BY account, who, firsttime, network
