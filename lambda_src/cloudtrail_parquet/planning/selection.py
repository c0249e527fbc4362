"""What somebody selects of a source, found and checked before any of it is converted."""

from dataclasses import dataclass

from cloudtrail_parquet.dataset.properties import check_properties
from cloudtrail_parquet.errors import RefusedError, UsageError
from cloudtrail_parquet.layout import Unit, span_of
from cloudtrail_parquet.planning.plan import Only, PlannedUnit, Receipts, UnitRange, plan_units
from cloudtrail_parquet.settings.options import DatasetOptions, PlanOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import Discovery, discover, units
from cloudtrail_parquet.storage import ReadStore, Stores, check_there, open_source
from cloudtrail_parquet.storage.locations import check_is_source


@dataclass(frozen=True, slots=True)
class Selection:
    """A range of days, accounts and regions of a source.

    Attributes:
        range: What is selected.
        source: Where the logs are.
        discovery: All accounts and regions of the source.
    """

    range: UnitRange
    source: ReadStore
    discovery: Discovery

    @classmethod
    def of(cls, location: str, wanted: UnitRange, folders: tuple[str, ...]) -> "Selection":
        """List the accounts and regions of a source, of which some are wanted.

        Args:
            location: At or above ``AWSLogs``; several have white space between them.
            wanted: What is selected of it.
            folders: The folders of logs that are read.

        Raises:
            UsageError: There are no logs, or none of a wanted account or region; says which are.
            RefusedError: No account may be listed.
        """
        source = open_source(location)
        if len(source.tops) == 1:  # others may be waiting for their first logs
            check_there(location, "source")
        try:
            discovery = discover(source, folders)
        except UsageError:
            check_is_source(source, source.tops)
            raise
        return cls.within(source, discovery, wanted)

    @classmethod
    def within(cls, source: ReadStore, discovery: Discovery, wanted: UnitRange) -> "Selection":
        """What is wanted of a source in which everything is discovered.

        Raises:
            UsageError: There are no logs of a wanted account or region; says which there are.
        """
        discovery.check(wanted.accounts, wanted.regions, source.uri)
        return cls(wanted, source, discovery)

    @property
    def refused(self) -> dict[str, RefusedError]:
        """Selected accounts that may not be listed, and why."""
        return self.discovery.refused_of(self.range.accounts)

    def due(self, stores: Stores, only: Only, settings: Settings) -> list[PlannedUnit]:
        """The selected units that are due for conversion, sorted; parts are compared as well.

        Raises:
            UsageError: The dataset was made with settings that it must not be mixed with.
        """
        options = PlanOptions.of(settings)
        if only == "all":  # their log files need not be listed to know that
            return [PlannedUnit(unit, 0, 0) for unit in self.units(options.dataset)]
        check_properties(stores, options.dataset)
        receipts = Receipts(stores.state, stores.clock.now(), stores.dataset)
        planned = plan_units(self.source, receipts, self.discovery, self.range, only, options)
        return list(planned)

    def units(self, options: DatasetOptions) -> list[Unit]:
        """The units whose windows touch a day of a selected place, sorted."""
        first, last = self.range.first, self.range.last
        of_places = units(
            self.source, self.discovery, options.window, first, last, self.range.holds
        )
        return sorted({Unit(*span_of(unit.span, options.layout), unit.day) for unit in of_places})

    def no_logs(self) -> UsageError:
        """The error for a selection without a single log file; says what there is."""
        return self.discovery.no_logs(self.source, self.range.holds)
