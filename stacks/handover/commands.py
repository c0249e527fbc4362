"""The commands that the README of a hand-over gives, for version 2 of AWS's command line."""

import json

from cloudtrail_parquet.contract import DETAIL_TYPE, EVENT_SOURCE
from stacks.iam.cross_account import Json


def put_event(event: Json) -> str:
    """Puts an event on the bus of the stack."""
    entry = {"Source": EVENT_SOURCE, "DetailType": DETAIL_TYPE, "Detail": json.dumps(event)}
    quoted = json.dumps([{"EventBusName": "BUS", **entry}])
    bus = "'\"$(terraform output -raw event_bus)\"'"
    return f"aws events put-events --entries \\\n  '{quoted.replace('BUS', bus)}'"


def invoke(options: str, event: Json | None, answer: str) -> str:
    """Invokes the function with an event, or with that in ``event.json``."""
    payload = f"'{json.dumps(event)}'" if event else "file://event.json"
    return (
        'aws lambda invoke --function-name "$(terraform output -raw function_name)" \\\n'
        f"  --cli-binary-format raw-in-base64-out {options} \\\n"
        f"  --payload {payload} {answer}"
    )


def sqs(command: str, output: str) -> str:
    """Does something with the queue whose URL is an output of Terraform."""
    return f'aws sqs {command} --queue-url "$(terraform output -raw {output})"'


def in_shell(commands: str) -> str:
    """Commands as a block of Markdown."""
    return f"```sh\n{commands}\n```"


def in_json(value: object) -> str:
    """JSON as a block of Markdown."""
    return f"```json\n{json.dumps(value, indent=2)}\n```"
