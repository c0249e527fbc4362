-- From which addresses did a principal call that it had not used before?
--
-- Principals first seen since then are left out: everything is new to them. Only real addresses
-- count, not the names of services. Let the view hold weeks, not years.
--
-- Parameters:
--   since      2026-01-11: the first day, in UTC, whose addresses are new (default yesterday)
--   principal  arn:aws:iam::012345678901:role/reader: a user or a role, not a session (default all)
-- Source: MITRE ATT&CK T1078.004, Valid Accounts: Cloud Accounts.
WITH calls AS (
    SELECT account, eventTime, eventName, sourceIPAddress,
        coalesce(userIdentity.sessionContext.sessionIssuer.arn, userIdentity.arn) AS who,
        make_date(year, month, day) >= coalesce(getvariable('since')::DATE, current_date - 1)
            AS recent
    FROM cloudtrail
    WHERE regexp_matches(sourceIPAddress, '^[0-9]+(\.[0-9]+){3}$|:')
    QUALIFY eventID IS NULL OR 1 = rank() OVER (
        PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
)
SELECT account, who, sourceIPAddress, min(eventTime) AS firstTime, count(*) AS calls,
    list(DISTINCT eventName ORDER BY eventName) AS names
FROM calls
WHERE who = coalesce(getvariable('principal'), who)
GROUP BY account, who, sourceIPAddress
HAVING bool_and(recent) AND who IN (SELECT who FROM calls WHERE NOT recent)
ORDER BY account, who, firstTime, sourceIPAddress;
