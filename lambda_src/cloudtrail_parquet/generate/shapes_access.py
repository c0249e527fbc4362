"""Generated events about who may do what: STS, KMS, IAM, sign-in, secrets, the trail itself."""

from datetime import timedelta

from cloudtrail_parquet.generate.actors import (
    SERVICE_HOSTS,
    Json,
    Session,
    base64_text,
    chance,
    hex_text,
    id_text,
    pick,
    service_session,
    uuid_text,
)
from cloudtrail_parquet.generate.calls import (
    MODERN,
    SERVICE_EVENTS_SINCE,
    SIGN_IN_SINCE,
    Call,
    Entry,
    Event,
    denied,
    simple,
    time_words,
)

_CONSOLE = "https://console.aws.amazon.com/console/home"
_KMS_USERS = (  # a host and the key of its encryption context
    ("s3.amazonaws.com", "aws:s3:arn"),
    ("secretsmanager.amazonaws.com", "SecretARN"),
    ("dynamodb.amazonaws.com", "aws:dynamodb:tableName"),
)


def _credentials(call: Call) -> Json:
    expiration = call.when + timedelta(hours=1)
    return {
        "accessKeyId": f"ASIA{id_text(call.rng, 16)}",
        "sessionToken": base64_text(call.rng, 150),
        "expiration": time_words(expiration),
    }


def _assume(call: Call, by: Session, name: str) -> Event:
    issuer = f"arn:aws:iam::{call.site.account}:role/{pick(call.rng, call.site.functions)}"
    assumed = issuer.replace(":iam:", ":sts:").replace(":role", ":assumed-role")
    session = f"run-{hex_text(call.rng, 16)}"
    return Event(
        by=by,
        service="sts",
        name=name,
        request={"roleArn": issuer, "roleSessionName": session, "durationSeconds": 3600},
        response={
            "credentials": _credentials(call),
            "assumedRoleUser": {
                "assumedRoleId": f"AROA{id_text(call.rng, 17)}:{session}",
                "arn": f"{assumed}/{session}",
            },
        },
        resources=[{"accountId": call.site.account, "type": "AWS::IAM::Role", "ARN": issuer}],
        api_version="2011-06-15",
    )


def _assume_role(call: Call) -> Event:
    event = _assume(call, service_session(pick(call.rng, SERVICE_HOSTS)), "AssumeRole")
    event.shared = True
    return event


def _assume_role_from_outside(call: Call) -> Event:
    event = _assume(call, call.site.stranger(call.rng), "AssumeRole")
    event.shared = True
    return event


def _assume_role_with_web_identity(call: Call) -> Event:
    return _assume(call, call.site.pod(call.rng), "AssumeRoleWithWebIdentity")


def _get_caller_identity(call: Call) -> Event:
    return Event(
        by=call.caller(), service="sts", name="GetCallerIdentity", api_version="2011-06-15"
    )


def _kms(call: Call, name: str, request: Json) -> Event:
    host, purpose = pick(call.rng, _KMS_USERS)
    service = chance(call.rng, 0.5)
    key = call.arn("kms", f"key/{pick(call.rng, call.site.keys)}")
    context = {purpose: pick(call.rng, call.site.buckets)}
    return Event(
        by=service_session(host)
        if service
        else call.site.behalf_session(call.rng, call.when, host),
        service="kms",
        name=name,
        request={**request, "encryptionContext": context, "keyId": key},
        resources=[{"accountId": call.site.account, "type": "AWS::KMS::Key", "ARN": key}],
    )


def _decrypt(call: Call) -> Event:
    event = _kms(call, "Decrypt", {"encryptionAlgorithm": "SYMMETRIC_DEFAULT"})
    event.extra = {"keyMaterialId": hex_text(call.rng, 64)} if call.version >= MODERN else None
    return event


def _generate_data_key(call: Call) -> Event:
    return _kms(call, "GenerateDataKey", {"keySpec": "AES_256"})


def _rotate_key(call: Call) -> Event:
    key = call.arn("kms", f"key/{pick(call.rng, call.site.keys)}")
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
    user = f"svc-{hex_text(call.rng, 8)}"
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


def _attach_role_policy(call: Call) -> Event:
    request: Json = {
        "roleName": f"{pick(call.rng, call.site.functions)}-{hex_text(call.rng, 8)}",
        "policyArn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess",
    }
    event = _iam(call, "AttachRolePolicy", request, None)
    if chance(call.rng, 0.2):
        role = f"role/{request['roleName']}"
        event.error = ("AccessDenied", denied(call, event.by, "iam:AttachRolePolicy", role))
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
    secret = call.arn(
        "secretsmanager", f"secret:{pick(call.rng, call.site.databases)}-{hex_text(call.rng, 6)}"
    )
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
    bucket = pick(call.rng, call.site.buckets)
    host = pick(call.rng, ("cloudtrail.amazonaws.com", "config.amazonaws.com"))
    request: Json = {"bucketName": bucket, "acl": ""}
    return Event(by=service_session(host), service="s3", name="GetBucketAcl", request=request)


ENTRIES = (
    Entry(60, _get_bucket_acl),
    Entry(80, _assume_role),
    Entry(10, _assume_role_from_outside),
    Entry(12, _assume_role_with_web_identity),
    Entry(40, _get_caller_identity),
    Entry(110, _decrypt),
    Entry(90, _generate_data_key),
    Entry(2, _rotate_key, since=SERVICE_EVENTS_SINCE),
    Entry(4, _federate, since=SERVICE_EVENTS_SINCE),
    Entry(4, _create_access_key, global_only=True),
    Entry(3, _create_user, global_only=True),
    Entry(6, _attach_role_policy, global_only=True),
    Entry(8, _console_login, since=SIGN_IN_SINCE, global_only=True),
    Entry(25, _get_secret_value),
    Entry(5, _lookup_events),
    Entry(20, _get_trail_status),
)
