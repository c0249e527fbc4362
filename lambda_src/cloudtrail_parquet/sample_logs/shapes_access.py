"""Generated events about who may do what: STS, KMS, IAM, sign-in, secrets, the trail itself.

They follow the real records that ``fleet`` names: one record in 24 is an ``AssumeRole``; some are
denied and then have neither response nor resources. A token has about 1,070 characters when a
service asked for it, else 750 to 780. One record in eight has a response; over all records that
makes 70 bytes a record.
"""

from datetime import timedelta

from cloudtrail_parquet.sample_logs.calls import (
    MODERN,
    SERVICE_EVENTS_SINCE,
    SIGN_IN_SINCE,
    Call,
    Event,
    Share,
    denied,
    simple,
    time_words,
)
from cloudtrail_parquet.sample_logs.draws import (
    Json,
    base64_text,
    chance,
    favour,
    hex_text,
    id_text,
    pick,
    session_token,
    uuid_text,
)
from cloudtrail_parquet.sample_logs.roles import Role
from cloudtrail_parquet.sample_logs.sessions import Session, service_session

_CONSOLE = "https://console.aws.amazon.com/console/home"
_TOKEN_BYTES = (562, 566, 575, 584)
_SERVICE_TOKEN_BYTES = 800
_POLICIES = (
    *("AmazonS3ReadOnlyAccess", "CloudWatchAgentServerPolicy", "AmazonSSMManagedInstanceCore"),
    *("service-role/AWSLambdaBasicExecutionRole", "service-role/AWSLambdaVPCAccessExecutionRole"),
)
_MATERIAL_SINCE = 11  # keyMaterialId came in 2025, to records of 1.11


def _credentials(call: Call, token_bytes: int) -> Json:
    expiration = call.when + timedelta(hours=1)
    site = call.site
    return {
        "accessKeyId": f"ASIA{id_text(call.rng, 16)}",
        "sessionToken": session_token(call.rng, call.when, site.region, site.account, token_bytes),
        "expiration": time_words(expiration),
    }


def _assume(call: Call, by: Session, name: str, role: Role) -> Event:
    issuer = call.site.role_arn(role)
    session = call.site.session_name(call.rng, role, call.when)
    request: Json = {"roleArn": issuer, "roleSessionName": session}
    if not by.internal:
        request["durationSeconds"] = 3600
    size = _SERVICE_TOKEN_BYTES if by.internal else pick(call.rng, _TOKEN_BYTES)
    return Event(
        by=by,
        service="sts",
        name=name,
        request=request,
        response={
            "credentials": _credentials(call, size),
            "assumedRoleUser": {
                "assumedRoleId": f"{role.unique_id}:{session}",
                "arn": f"arn:aws:sts::{call.site.account}:assumed-role/{role.name}/{session}",
            },
        },
        resources=[{"accountId": call.site.account, "type": "AWS::IAM::Role", "ARN": issuer}],
        api_version="2011-06-15",
    )


def _assume_role(call: Call) -> Event:
    role = pick(call.rng, call.site.hosted_roles)
    event = _assume(call, service_session(role.host or ""), "AssumeRole", role)
    event.shared = True
    return event


def _assume_role_from_outside(call: Call) -> Event:
    role = pick(call.rng, call.site.partner_roles)
    event = _assume(call, call.site.stranger(call.rng), "AssumeRole", role)
    event.shared = True
    if chance(call.rng, 0.2):
        text = denied(call, event.by, "sts:AssumeRole", call.site.role_arn(role))
        event.error, event.response, event.resources = ("AccessDenied", text), None, None
    return event


def _assume_role_with_web_identity(call: Call) -> Event:
    role, pod = call.site.pod(call.rng)
    return _assume(call, pod, "AssumeRoleWithWebIdentity", role)


def _get_caller_identity(call: Call) -> Event:
    return Event(
        by=call.caller(), service="sts", name="GetCallerIdentity", api_version="2011-06-15"
    )


def _kms(call: Call, name: str, request: Json) -> Event:
    sealed = favour(call.rng, call.fleet.sealed)
    key = sealed.key
    return Event(
        by=service_session(sealed.host)
        if chance(call.rng, 0.5)
        else call.site.behalf_session(call.rng, call.when, sealed),
        service="kms",
        name=name,
        request={**request, "encryptionContext": sealed.context, "keyId": key.arn},
        extra={"keyMaterialId": key.material} if call.version >= _MATERIAL_SINCE else None,
        resources=[{"accountId": call.site.account, "type": "AWS::KMS::Key", "ARN": key.arn}],
    )


def _decrypt(call: Call) -> Event:
    return _kms(call, "Decrypt", {"encryptionAlgorithm": "SYMMETRIC_DEFAULT"})


def _generate_data_key(call: Call) -> Event:
    return _kms(call, "GenerateDataKey", {"keySpec": "AES_256"})


def _rotate_key(call: Call) -> Event:
    key = pick(call.rng, call.fleet.keys).arn
    by = service_session("AWS Internal")
    by.identity = {"accountId": call.site.account, "invokedBy": "AWS Internal"}
    return Event(
        by=by,
        service="kms",
        name="RotateKey",
        event_type="AwsServiceEvent",
        read_only=False,
        resources=[{"accountId": call.site.account, "type": "AWS::KMS::Key", "ARN": key}],
        details={"keyId": key, "rotationType": "AUTOMATIC", "backingKeyId": hex_text(call.rng, 64)},
    )


def _federate(call: Call) -> Event:
    person = call.version >= MODERN
    by = call.site.workforce_user(call.rng) if person else service_session("sso.amazonaws.com")
    return Event(
        by=by,
        service="sso",
        name="Federate",
        event_type="AwsServiceEvent",
        read_only=False,
        details={
            "relayId": uuid_text(call.rng),
            "account_id": call.site.account,
            "role_name": "Operator",
        },
    )


def _iam(call: Call, name: str, request: Json, response: Json | None) -> Event:
    return Event(
        by=call.caller(),
        service="iam",
        name=name,
        request=request,
        response=response,
        read_only=False,
        api_version="2010-05-08",
    )


def _create_access_key(call: Call) -> Event:
    user = pick(call.rng, call.site.service_users)
    key = {
        "userName": user,
        "accessKeyId": f"AKIA{id_text(call.rng, 16)}",
        "status": "Active",
        "createDate": time_words(call.when),
    }
    return _iam(call, "CreateAccessKey", {"userName": user}, {"accessKey": key})


def _create_user(call: Call) -> Event:
    user = f"svc-{hex_text(call.rng, 8)}"
    made = {
        "path": "/",
        "userName": user,
        "userId": f"AIDA{id_text(call.rng, 17)}",
        "arn": f"arn:aws:iam::{call.site.account}:user/{user}",
        "createDate": time_words(call.when),
    }
    tags = [{"key": "Propriétaire", "value": "équipe <plateforme>"}]
    return _iam(call, "CreateUser", {"userName": user, "tags": tags}, {"user": made})


def _get_access_key_last_used(call: Call) -> Event:
    request: Json = {"accessKeyId": pick(call.rng, call.site.access_keys)}
    event = _iam(call, "GetAccessKeyLastUsed", request, None)
    event.read_only = True
    return event


def _attach_role_policy(call: Call) -> Event:
    role = pick(call.rng, call.site.hosted_roles)
    policy = f"arn:aws:iam::aws:policy/{pick(call.rng, _POLICIES)}"
    request: Json = {"roleName": role.name, "policyArn": policy}
    event = _iam(call, "AttachRolePolicy", request, None)
    if chance(call.rng, 0.2):
        text = denied(call, event.by, "iam:AttachRolePolicy", f"role/{role.name}")
        event.error = ("AccessDenied", text)
    return event


def _console_login(call: Call) -> Event:
    rng = call.rng
    by = call.site.root(rng, call.when) if chance(rng, 0.15) else call.site.user(rng)
    kept = {
        key: value
        for key, value in by.identity.items()
        if key not in ("accessKeyId", "sessionContext")
    }
    failed = chance(rng, 0.2)
    return Event(
        by=Session(identity=kept, address=by.address, agent=by.agent),
        service="signin",
        name="ConsoleLogin",
        event_type="AwsConsoleSignIn",
        read_only=False,
        error=(None, "Failed authentication") if failed else None,
        response={"ConsoleLogin": "Failure" if failed else "Success"},
        extra={
            "LoginTo": f"{_CONSOLE}?state=hashArgs%23&nonce={hex_text(rng, 16)}",
            "MobileVersion": "No",
            "MFAUsed": "Yes" if chance(rng, 0.6) else "No",
        },
    )


def _get_secret_value(call: Call) -> Event:
    secret = favour(call.rng, call.fleet.secrets)
    event = simple(call, "secretsmanager", "GetSecretValue", {"secretId": secret})
    if chance(call.rng, 0.1):
        text = denied(call, event.by, "secretsmanager:GetSecretValue", secret)
        event.error = ("AccessDenied", text)
    return event


def _lookup_events(call: Call) -> Event:
    start = int(call.when.timestamp()) - call.rng.randrange(86_400)
    request: Json = {"startTime": start, "maxResults": 50, "nextToken": base64_text(call.rng, 48)}
    return simple(call, "cloudtrail", "LookupEvents", request)


def _get_trail_status(call: Call) -> Event:
    trail = call.arn("cloudtrail", "trail/organization-trail")
    return simple(call, "cloudtrail", "GetTrailStatus", {"name": trail})


def _get_bucket_acl(call: Call) -> Event:
    bucket, _ = pick(call.rng, call.fleet.buckets)
    host = pick(call.rng, ("cloudtrail.amazonaws.com", "config.amazonaws.com"))
    request: Json = {"bucketName": bucket, "acl": ""}
    return Event(by=service_session(host), service="s3", name="GetBucketAcl", request=request)


ENTRIES = (
    Share(60, _get_bucket_acl),
    Share(42, _assume_role),
    Share(6, _assume_role_from_outside),
    Share(8, _assume_role_with_web_identity),
    Share(40, _get_caller_identity),
    Share(110, _decrypt),
    Share(90, _generate_data_key),
    Share(2, _rotate_key, since=SERVICE_EVENTS_SINCE),
    Share(4, _federate, since=SERVICE_EVENTS_SINCE),
    Share(4, _create_access_key, global_only=True),
    Share(6, _get_access_key_last_used, global_only=True),
    Share(3, _create_user, global_only=True),
    Share(6, _attach_role_policy, global_only=True),
    Share(8, _console_login, since=SIGN_IN_SINCE, global_only=True),
    Share(25, _get_secret_value),
    Share(5, _lookup_events),
    Share(20, _get_trail_status),
)
