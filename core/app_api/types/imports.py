"""Bodies and answers of `core.app_api.imports`."""

from __future__ import annotations

from typing import Literal, Required, TypedDict


class ImportFields(TypedDict, total=False):
    """What every import has.

    Attributes:
        name: Shown in Customer.io.
        data_file_url: Where the vendor fetches the CSV file.
        data_to_process: Whether to leave out what is there already, or what is not.
        description: Shown in Customer.io.
    """

    name: Required[str]
    data_file_url: Required[str]
    data_to_process: Literal["all", "only_new", "only_existing"]
    description: str


class PeopleImport(ImportFields, total=False):
    """People; `identifier` is the column that says who."""

    type: Required[Literal["people"]]
    identifier: Required[Literal["id", "email"]]


class EventImport(ImportFields, total=False):
    """Events of people; `identifier` is the column that says whose."""

    type: Required[Literal["event"]]
    identifier: Required[Literal["id", "email"]]


class ObjectImport(ImportFields, total=False):
    """Objects of one type."""

    type: Required[Literal["object"]]
    object_type_id: Required[str]


class RelationshipImport(ImportFields, total=False):
    """Relationships of people to objects of one type."""

    type: Required[Literal["relationship"]]
    identifier: Required[Literal["id", "email"]]
    object_type_id: Required[int | str]


# A class cannot have a field `import`.
NewImport = TypedDict(
    "NewImport", {"import": PeopleImport | EventImport | ObjectImport | RelationshipImport}
)


class Import(TypedDict, total=False):
    """An import; times in seconds since 1970.

    The addresses are those of files with the rows that failed, or that were taken with a warning.
    Those fields come with `imports.get` only.
    """

    id: int
    name: str
    description: str
    type: str
    identifier: str
    object_type_id: str
    data_to_process: str
    people_to_process: str
    state: str
    rows_to_import: int
    rows_imported: int
    error: str
    error_export_id: int
    error_download_url: str
    warning_export_id: int
    warning_download_url: str
    created_at: int
    updated_at: int


ImportAnswer = TypedDict("ImportAnswer", {"import": Import}, total=False)
