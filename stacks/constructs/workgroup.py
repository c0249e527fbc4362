"""An Athena workgroup that limits what a query reads, with the investigations as named queries."""

from stacks.cdk import AthenaNamedQuery, AthenaWorkgroup, Construct, GlueCatalogTable, literal
from stacks.environment.fields import Environment
from stacks.environment.workgroup import WorkgroupSettings
from stacks.investigations import investigations

_ENGINE = "Athena engine version 3"


class Workgroup(Construct):
    """A workgroup with a query for each investigation."""

    def __init__(
        self,
        scope: Construct,
        environment: Environment,
        workgroup: WorkgroupSettings,
        table: GlueCatalogTable,
    ) -> None:
        super().__init__(scope, "athena")
        created = AthenaWorkgroup(
            self,
            "workgroup",
            name=environment.name,
            description="Investigations of CloudTrail events",
            force_destroy=True,  # its history would keep it, and nothing else is lost with it
            configuration={
                "bytes_scanned_cutoff_per_query": workgroup.max_query_bytes,
                "enforce_workgroup_configuration": True,
                "publish_cloudwatch_metrics_enabled": True,
                "engine_version": {"selected_engine_version": _ENGINE},
                "result_configuration": _results(workgroup),
            },
        )
        layout = environment.settings.partition_layout
        for one in investigations(layout, environment.database, environment.catalogue.table):
            AthenaNamedQuery(
                self,
                one.name,
                name=one.name,
                description=literal(one.description),
                workgroup=created.name,
                database=table.database_name,
                query=literal(one.text),
            )


def _results(workgroup: WorkgroupSettings) -> dict[str, object]:
    """Where Athena writes what it finds, and how that is encrypted."""
    key = workgroup.kms_key
    return {
        "output_location": f"{workgroup.results.uri()}/",
        "expected_bucket_owner": workgroup.account,
        "encryption_configuration": {
            "encryption_option": "SSE_KMS" if key else "SSE_S3",
            "kms_key_arn": key,
        },
    }
