"""Rows of Arrow tables, as in parquet files and Hugging Face data sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from unprompt.datasets.records import PICTURE_KEYS, PROMPT_KEYS, Fault, key_of, shown, wrong_columns
from unprompt.errors import PictureError
from unprompt.images.files import check_size
from unprompt.images.formats import format_of

if TYPE_CHECKING:
    import pyarrow

Place: TypeAlias = tuple[str, ...]
"""The name of a column, followed by that of its field if it is a struct."""

BATCH_ROWS = 1024
UNREADABLE_ROW = "expected texts in UTF-8, and at most 1 MB of them, found others; mend the row"

_NO_BYTES = (
    "expected a picture's bytes, found none: a table may hold the path alone, as `to_parquet` of datasets writes it; "
    "embed the pictures first: data.with_format('arrow').map(datasets.table.embed_table_storage, batched=True)"
)
_ROW_LIMIT = 1 << 20  # bytes of texts and numbers per row, as for a line of JSON, and per conversion to Python objects
_PICTURE = "image"
_TEXT, _JSON = "txt", "json"  # the columns that Hugging Face makes of a WebDataset's files


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a table holds the bytes of its pictures and each field of its records.

    `picture` is None in a table of prompts alone, and where `named` is the field with the pictures' paths.
    """

    picture: Place | None
    fields: dict[str, Place]
    named: str | None = None


def columns_of(schema: pyarrow.Schema, where: str, *, alone: bool = False) -> Columns | Fault:
    """Find the columns of a table of pictures or, with `alone`, of prompts, or the fault that makes it unusable.

    Pictures are in the column "image" or, without one, in the only column of their type: struct<bytes, path>, as
    Hugging Face writes them, or plain bytes. `path` becomes the field `file_name`. In tables that Hugging Face made of
    a WebDataset, "txt" is the prompt, and the parts of "json" are fields. A table without bytes may name its pictures,
    as a list does.
    """
    kinds = {field.name: field.type for field in schema if schema.names.count(field.name) == 1}
    pictures = [name for name, kind in kinds.items() if _holds_pictures(kind)]
    picture = _PICTURE if _PICTURE in pictures else pictures[0] if len(pictures) == 1 else None
    parts = {name: _parts(kind) for name, kind in kinds.items()}
    fields: dict[str, Place] = {"file_name": (picture, "path")} if picture and "path" in parts[picture] else {}
    fields |= {part: (_JSON, part) for part in parts.get(_JSON, ())}
    fields |= {name: (name,) for name, kind in kinds.items() if _is_plain(kind)}
    if place := fields.pop(_TEXT, None):
        fields["prompt"] = place
    named = key_of(PICTURE_KEYS, [name for name in fields if name in kinds and _is_text(kinds[name])])
    if picture is None and named is None and not alone:
        expected = f"expected one column {_PICTURE!r} of bytes, or of struct<bytes, path>, or a column of paths"
        return Fault("wrong-columns", where, f"{expected}, found {shown(', '.join(schema.names))}; rename or add it")
    if key_of(PROMPT_KEYS, fields) is None:
        return wrong_columns(where, "a column of prompts", PROMPT_KEYS, schema.names)
    if picture is None:
        return Columns(None, fields, named)
    return Columns((picture, "bytes") if _is_struct(kinds[picture]) else (picture,), fields)


def rows_of(batch: pyarrow.RecordBatch, columns: Columns) -> Iterator[dict[str, Any] | None]:
    """The fields of each row; None for a row that cannot be read.

    Times become texts. A batch that is far larger unpacked than in the file is never unpacked at once.
    """
    import pyarrow

    arrays = {name: _simple(part_at(batch, place)) for name, place in columns.fields.items()}
    yield from _rows(pyarrow.RecordBatch.from_pydict(arrays))


def picture_of(cell: bytes | None) -> bytes:
    """The picture's bytes in a cell. Raises PictureError: not-found (the cell is empty), not-a-picture, too-large."""
    if cell is None:
        raise PictureError("not-found", _NO_BYTES)
    check_size(len(cell))
    format_of(cell)
    return bytes(cell)


def part_at(table: pyarrow.RecordBatch | pyarrow.Table, place: Place) -> pyarrow.Array | pyarrow.ChunkedArray:
    """The cells of a column, or of a field of a struct column."""
    from pyarrow import compute

    column, *part = place
    return compute.struct_field(table.column(column), part) if part else table.column(column)


def _rows(batch: pyarrow.RecordBatch) -> Iterator[dict[str, Any] | None]:
    if sum(map(_size, batch.columns)) <= _ROW_LIMIT:
        try:
            yield from batch.to_pylist()
            return
        except UnicodeDecodeError:
            pass
    if len(batch) == 1:
        yield None
        return
    half = len(batch) // 2
    yield from _rows(batch.slice(0, half))
    yield from _rows(batch.slice(half))


def _size(array: pyarrow.Array) -> int:
    """Bytes that texts and numbers take as Python objects, where repeated values are no longer shared."""
    import pyarrow
    from pyarrow import compute

    kind = array.type
    if pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind):
        return 8 * len(array) + _size(array.flatten())
    if pyarrow.types.is_dictionary(kind):
        lengths = compute.binary_length(array.dictionary).take(array.indices)
    elif _is_text(kind):
        lengths = compute.binary_length(array)
    else:
        return 8 * len(array)
    return 8 * len(array) + (compute.sum(lengths.cast("int64")).as_py() or 0)


def _simple(array: pyarrow.Array) -> pyarrow.Array:
    """The array with times as texts: Python's datetime cannot hold all of them, and JSON has no type for them."""
    import pyarrow

    if pyarrow.types.is_timestamp(array.type):
        array = array.cast(pyarrow.timestamp(array.type.unit))  # in UTC: a machine may not know the time zone
    if pyarrow.types.is_temporal(array.type):
        array = array.cast(pyarrow.string(), safe=False)
    return array


def _parts(kind: pyarrow.DataType) -> list[str]:
    """The fields of a struct whose values JSON can hold."""
    return [part.name for part in kind if _is_plain(part.type)] if _is_struct(kind) else []


def _holds_pictures(kind: pyarrow.DataType) -> bool:
    if _is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0 and _is_bytes(kind.field("bytes").type))
    return _is_bytes(kind)


def _is_struct(kind: pyarrow.DataType) -> bool:
    import pyarrow

    return bool(pyarrow.types.is_struct(kind))


def _is_bytes(kind: pyarrow.DataType) -> bool:
    import pyarrow

    kind = kind.value_type if pyarrow.types.is_dictionary(kind) else kind
    return bool(pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind))


def _is_text(kind: pyarrow.DataType) -> bool:
    import pyarrow

    kind = kind.value_type if pyarrow.types.is_dictionary(kind) else kind
    return bool(pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind))


def _is_plain(kind: pyarrow.DataType) -> bool:
    """Whether JSON can hold the values: texts, numbers, booleans, lists of these, and times as texts."""
    import pyarrow

    types = pyarrow.types
    if types.is_list(kind) or types.is_large_list(kind):
        kind = kind.value_type
        return bool(_is_text(kind) or types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))
    numbers = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    return bool(_is_text(kind) or numbers or types.is_timestamp(kind) or types.is_date(kind))
