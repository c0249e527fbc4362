"""The synthesised Terraform, read: resources, policies, and text as Terraform fills it in."""

import re
from collections.abc import Callable, Iterator
from datetime import date
from itertools import chain
from typing import Any

from cloudtrail_parquet.function.events import UnitRef

Body = dict[str, Any]
Stack = dict[str, Any]
StackOf = Callable[[str], Stack]
"""Gives the stack of a case by its name."""


ACCOUNT = "123456789012"
UNIT = UnitRef(account="012345678901", region="us-east-1", day=date(2026, 1, 10))
_REFERENCE = re.compile(r"(?<!\$)\$\{([^{}]*)\}")


def all_of(stack: Stack, type_: str) -> dict[str, Body]:
    """The resources of a type, by name."""
    found: dict[str, Body] = stack["resource"].get(type_, {})
    return found


def only(stack: Stack, type_: str) -> Body:
    """The one resource of a type."""
    (body,) = all_of(stack, type_).values()
    return body


def addresses(stack: Stack) -> set[str]:
    return {f"{type_}.{name}" for type_, bodies in stack["resource"].items() for name in bodies}


def policy(stack: Stack, reference: str) -> list[Body]:
    """The statements of the policy that a reference to its JSON names."""
    found = re.fullmatch(r"\$\{data\.aws_iam_policy_document\.(\w+)\.json\}", reference)
    assert found, reference
    statements: list[Body] = stack["data"]["aws_iam_policy_document"][found[1]]["statement"]
    return statements


def filled(text: str, **values: str) -> str:
    """Text as Terraform makes it, with what references give by the last part of their names."""

    def value(found: re.Match[str]) -> str:
        return values.get(found[1].rpartition(".")[2], "filled-in")

    return _REFERENCE.sub(value, text).replace("$${", "${").replace("%%{", "%{")


def variables(stack: Stack) -> dict[str, str]:
    """The environment of the function, as Terraform makes it."""
    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/trails-backfill"
    written = only(stack, "aws_lambda_function")["environment"]["variables"]
    return {name: filled(value, url=url) for name, value in written.items()}


def texts(value: object) -> Iterator[str]:
    """Every text in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from chain.from_iterable(map(texts, value.values()))
    elif isinstance(value, list):
        yield from chain.from_iterable(map(texts, value))


def tls_only(statements: list[Body]) -> set[str]:
    """The resources that nobody may use without TLS."""
    condition = {"test": "Bool", "variable": "aws:SecureTransport", "values": ["false"]}
    return {
        resource
        for one in statements
        if one["effect"] == "Deny"
        and one["condition"] == [condition]
        and one["principals"] == [{"type": "*", "identifiers": ["*"]}]
        and one["actions"] in (["sqs:*"], ["s3:*"])
        for resource in one["resources"]
    }
