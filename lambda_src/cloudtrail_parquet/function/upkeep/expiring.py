"""Removing the parts of days that are no longer kept, as far as there is time."""

from cloudtrail_parquet.dataset.properties import known_properties
from cloudtrail_parquet.errors import CloudTrailParquetError, NotEnoughTimeError
from cloudtrail_parquet.function.admission import MARGIN_S
from cloudtrail_parquet.function.converting import LEASE_WAIT_S, Invocation, translated_errors
from cloudtrail_parquet.function.events import ExpireEvent
from cloudtrail_parquet.rewriting.expiry import ExpiredUnit, expire_unit, expired_units
from cloudtrail_parquet.rewriting.other import properties_of
from cloudtrail_parquet.settings.ages import first_kept
from cloudtrail_parquet.settings.options import DatasetOptions, LeaseOptions
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.together import side_by_side

_AT_A_TIME = 8


def expire(invocation: Invocation, event: ExpireEvent) -> dict[str, int]:
    """Remove the parts of all days before an age; for what is left the event is sent once more.

    A dataset that does not exist yet has none.

    Returns:
        How many units have lost parts, and how many are left.

    Raises:
        UsageError: That is no age.
        CloudTrailParquetError: Some were not removed; another attempt goes on.
    """
    stores, settings, telemetry = invocation.stores, invocation.settings, invocation.telemetry
    before = first_kept(event.older_than, stores.now().date(), "older_than")
    if known_properties(stores) is None:
        return {"expired": 0, "handed_back": 0}
    options = DatasetOptions.of(settings)._replace(layout=properties_of(stores).partition_layout)
    lease = LeaseOptions.of(settings)
    lease = lease._replace(wait_s=min(lease.wait_s, LEASE_WAIT_S))

    def remove(each: ExpiredUnit) -> Receipt | CloudTrailParquetError:
        name = each.unit.name
        if invocation.left_s() < MARGIN_S + lease.wait_s:
            hint = "Run it again: it goes on with what is left"
            return NotEnoughTimeError("there is no time left for it", name, hint)
        try:
            with translated_errors(name):
                return expire_unit(each, before, stores, options, lease)
        except CloudTrailParquetError as error:
            return error

    units = expired_units(stores.dataset, stores.state, before)
    number = _AT_A_TIME if stores.parallel > 1 else 1
    done, late, errors = 0, list[CloudTrailParquetError](), list[CloudTrailParquetError]()
    for each, left in zip(units, side_by_side(remove, units, number), strict=True):
        match left:
            case NotEnoughTimeError():
                late.append(left)
            case CloudTrailParquetError():
                telemetry.failed(each.unit, left)
                errors.append(left)
            case _:
                done += 1
                telemetry.expired(left, len(each.entries), sum(one.size for one in each.entries))
    if errors or (late and not (done and invocation.fanout)):
        raise [*errors, *late][0]
    if late and invocation.fanout is not None:
        invocation.fanout().send([event])
        telemetry.handed_back(len(late))
    return {"expired": done, "handed_back": len(late)}
