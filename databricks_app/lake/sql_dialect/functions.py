"""Lists the Databricks SQL that has the same result on the local engine.

Tests run everything that is listed here on DuckDB and compare the result with the documentation of
Databricks (`tests/databricks_app/lake/sql_dialect/test_sql_dialect.py`). Everything else is
refused, because a wrong number that looks right is worse than an error. Imports nothing.
"""

from __future__ import annotations

# Classes of sqlglot function nodes that DuckDB computes like Databricks, after the rewrites.
_ALLOWED = """
    Abs AddMonths And AnyValue ApproxDistinct ApproxQuantile ArgMax ArgMin Array ArrayAgg
    ArrayContains ArrayDistinct ArrayFilter ArraySize ArraySort ArrayToString ArrayUniqueAgg
    AtTimeZone Avg Case Cast Ceil Coalesce Concat ConcatWs Contains Count CountIf CumeDist
    CurrentDate CurrentTimestamp DateDiff DateTrunc Day DayOfMonth DayOfWeek DayOfYear DenseRank
    EndsWith EqualNull Exp Explode Extract First FirstValue Floor FromJson GenerateSeries Greatest
    GroupConcat Grouping Hour If JSONExtract JSONExtractScalar Lag Last LastDay LastValue Lead
    Least Left Length Ln LogicalAnd LogicalOr Lower MD5 MapKeys Max Median Min Minute
    Month NthValue Ntile Nullif Nvl2 Or Pad ParseJSON PercentRank Pow Quantile Quarter Rand Rank
    RegexpExtract RegexpLike RegexpReplace RegexpSplit Repeat Replace Reverse Right Round RowNumber
    SHA2 SafeDivide SplitPart Sqrt StartsWith StddevSamp Stddev StrPosition StrToUnix Struct
    Substring Sum TimeStrToTime TimeToStr TimestampAdd TimestampDiff TimestampTrunc Transform Trim
    TryCast TsOrDsAdd TsOrDsToDate UnixSeconds UnixToStr Upper Uuid VarMap Variance WeekOfYear
    Year
"""

RENAMED = {
    # Databricks functions that the parser does not know, and their DuckDB names.
    "every": "bool_and",
    "isnotnull": "IS NOT NULL",
    "isnull": "IS NULL",
    "make_date": "make_date",
    "some": "bool_or",
    "timestamp_millis": "to_timestamp",
    "timestamp_seconds": "to_timestamp",
}

# Parts of a SELECT that write, read other data, or have another meaning in DuckDB.
_REFUSED_SYNTAX = """
    Command Into Pivot TableSample Version Parameter HistoricalData MatchRecognize
    SessionParameter Lock Collate Any LikeAny ILikeAny LikeAll ILikeAll SimilarTo
"""

ALLOWED = frozenset(_ALLOWED.split())
REFUSED_SYNTAX = frozenset(_REFUSED_SYNTAX.split())

INSTEAD = {
    # What to use instead of a refused function.
    "bigint": "CAST(x AS BIGINT)",
    "convert_timezone": "from_utc_timestamp(t, zone)",
    "date_part": "extract(FIELD FROM t)",
    "datepart": "extract(FIELD FROM t)",
    "explode_outer": "explode",
    "pivot": "sum(CASE WHEN ... END), once a column",
    "to_utc_timestamp": "timestamps that are UTC already, as all columns are",
    "variant_get": "get_json_object(text, '$.path')",
    "weekday": "dayofweek (1 is Sunday)",
}

DATE_UNITS = {
    # Units of `trunc` and `date_trunc`, and their DuckDB names.
    "YEAR": "year",
    "YYYY": "year",
    "YY": "year",
    "QUARTER": "quarter",
    "MONTH": "month",
    "MON": "month",
    "MM": "month",
    "WEEK": "week",
    "DAY": "day",
    "DD": "day",
    "HOUR": "hour",
    "MINUTE": "minute",
    "SECOND": "second",
}

EXTRACTED = frozenset({"YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE"})

TIME_FORMATS = frozenset({"%Y", "%m", "%d", "%H", "%M", "%S", "%b", "%B", "%a", "%A", "%y"})

DIVISION_BY_ZERO = "Division by zero; use try_divide(a, b), which gives NULL."
