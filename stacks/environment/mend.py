"""What of a file with mistakes is legal, so that its contradictions are told together with them."""

from copy import deepcopy
from difflib import get_close_matches
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.settings.settings import Settings, SettingSource, settings_of
from stacks.environment.fields import Environment

Step = str | int

_NEEDED: dict[str, Any] = {
    "region": "us-east-1",
    "name": "without-name",
    "sources": [{"bucket": "without-name"}],
    "dataset": {"bucket": "without-name", "prefix": "without-name"},
    "bucket": "without-name",
}
"""What takes the place of fields that have to be given; nothing is told that follows from it."""


class Mended(NamedTuple):
    """A file as far as it is legal.

    Attributes:
        environment: Has defaults in place of what is not.
        wrong: The fields that have something else than the file says, or than was meant by it.
    """

    environment: Environment
    wrong: frozenset[str]

    def knows(self, *fields: str) -> bool:
        """Whether fields, and what is in them, are as the file says."""
        return not any(
            _is_within(field, wrong) or _is_within(wrong, field)
            for field in fields
            for wrong in self.wrong
        )


def mended(raw: dict[str, Any]) -> Mended:
    """Leave out of a file what is not legal."""
    raw, wrong = deepcopy(raw), set[str]()
    if isinstance(raw.get("converter"), dict):
        raw["converter"], wrong = _legal_settings(raw["converter"])
    while True:
        try:
            return Mended(Environment.model_validate(raw), frozenset(wrong))
        except ValidationError as error:
            for details in error.errors():
                wrong |= _mend(raw, details)


def dotted(location: tuple[Step, ...]) -> str:
    """The path of a field, as in ``sources[0].bucket``."""
    names = (step for step in location if step != "[key]")  # a wrong name in a table
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in names)
    return "".join(steps).removeprefix(".")


def near_field(location: tuple[Step, ...]) -> str | None:
    """The field that was most likely meant by one that there is not."""
    table: type[BaseModel] = Environment
    for step in location[:-1]:
        if isinstance(step, str):
            table = _table_of(table.model_fields[step].annotation)
    return next(iter(get_close_matches(str(location[-1]), list(table.model_fields), 1)), None)


def _table_of(annotation: Any) -> type[BaseModel]:  # noqa: ANN401 - a type, or one in a generic
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(_table_of(part) for part in get_args(annotation) if part is not type(None))


def _mend(raw: dict[str, Any], error: ErrorDetails) -> set[str]:
    """Remove what is wrong, or put something in the place of what has to be given.

    Returns:
        The fields that are no longer as the file says.
    """
    *above, last = _removable(error["loc"])
    table: Any = raw
    for step in above:
        if step not in table and isinstance(step, str):
            return set()  # removed already
        table = table[step]
    if error["type"] != "missing":
        table.pop(last, None)
    elif last in _NEEDED and above[:1] not in (["vpc"], ["backend"]):
        table[last] = deepcopy(_NEEDED[str(last)])
    else:
        raw.pop(str(above[0]))  # a table that may be left out
        return {str(above[0])}
    wrong = {dotted((*above, last))}
    if error["type"] == "extra_forbidden" and (near := near_field(error["loc"])) not in table:
        wrong.add(dotted((*above, str(near))))
    return wrong


def _removable(location: tuple[Step, ...]) -> tuple[Step, ...]:
    """The place of a mistake, or of the list that it is in: others keep their numbers."""
    steps = [step for step in location if step != "[key]"]
    while isinstance(steps[-1], int):
        steps.pop()
    return tuple(steps)


def _legal_settings(converter: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Settings that are legal, and which are not as the file says."""
    legal = {name: value for name, value in converter.items() if _are_legal({name: value})}
    if not _are_legal(legal):
        return {}, {"converter"}
    wrong = converter.keys() - legal.keys()
    known = list(Settings.__dataclass_fields__)
    meant = {near for name in wrong for near in get_close_matches(name, known, 1)}
    return legal, {f"converter.{name}" for name in wrong | meant - converter.keys()}


def _are_legal(converter: dict[str, Any]) -> bool:
    try:
        settings_of(SettingSource("converter", converter))
    except UsageError:
        return False
    return True


def _is_within(field: str, table: str) -> bool:
    return field == table or field.startswith((f"{table}.", f"{table}["))
