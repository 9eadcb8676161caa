"""Bodies and answers of `core.app_api.imports`."""

from __future__ import annotations

from typing import Literal, Required, TypedDict


class ImportFields(TypedDict, total=False):
    """The fields of every import.

    Attributes:
        name: Shown in Customer.io.
        data_file_url: The URL from which the vendor fetches the CSV file.
        data_to_process: Whether to import only new or only existing records; default: both.
        description: Shown in Customer.io.
    """

    name: Required[str]
    data_file_url: Required[str]
    data_to_process: Literal["all", "only_new", "only_existing"]
    description: str


class PeopleImport(ImportFields, total=False):
    """People; `identifier` is the column with their ids."""

    type: Required[Literal["people"]]
    identifier: Required[Literal["id", "email"]]


class EventImport(ImportFields, total=False):
    """Events of people; `identifier` is the column with the ids of the people."""

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


# `import` is a keyword of Python, so the class syntax cannot declare it.
NewImport = TypedDict(
    "NewImport", {"import": PeopleImport | EventImport | ObjectImport | RelationshipImport}
)


class Import(TypedDict, total=False):
    """An import; times are Unix seconds.

    The URLs are files with the rows that failed or had a warning. Only `imports.get` returns them.
    """

    id: Required[int]
    name: str
    description: str
    type: str
    identifier: str
    object_type_id: str
    data_to_process: str
    people_to_process: str
    state: Required[str]
    rows_to_import: int
    rows_imported: int
    error: str
    error_export_id: int
    error_download_url: str
    warning_export_id: int
    warning_download_url: str
    created_at: int
    updated_at: int


ImportAnswer = TypedDict("ImportAnswer", {"import": Import})
