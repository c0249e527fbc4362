"""The spans of a dataset, or of its state, by the names of folders."""

from urllib.parse import unquote

from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.source.log_files import each
from cloudtrail_parquet.storage import ReadStore

_OF_DAYS = ("year=", "dt=")


def spans_in(store: ReadStore, prefix: str) -> list[Place]:
    """The spans that have days below a prefix, sorted; a listing for each, and for each account."""
    spans, level = set[Place](), [(Place("", ""), prefix)]
    while level:
        answers = each(store, lambda above: store.folders(above[1]), level)
        deeper = list[tuple[Place, str]]()
        for (span, above), names in zip(level, answers, strict=True):
            for name in names:
                kind, _, value = name.partition("=")
                if name.startswith(_OF_DAYS):
                    spans.add(span)
                elif kind == "account":
                    deeper.append((Place(unquote(value), ""), f"{above}{name}/"))
                elif kind == "region":
                    spans.add(Place(span.account, unquote(value)))
        level = deeper
    return sorted(spans)
