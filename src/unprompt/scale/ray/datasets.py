"""`predict` in a pipeline of Ray Data: a data set of pictures in, the same rows with their answers out.

Ray Data starts an actor that died again, gives it the same block, and does not say so: a picture that ends the process
would do that for ever. So each actor tells a witness, which outlives it, what it is about to do, and learns how often
it began that and never ended it. The second time it answers the rows one by one, and a row that was alone in `DEADLY`
deaths becomes a failure.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from unprompt.errors import DataError, NodeError
from unprompt.images.decode import MEMORY_LIMIT_MB
from unprompt.images.files import Bytes, Unavailable
from unprompt.images.ref import ImageRef
from unprompt.output.jsonl import to_json
from unprompt.prediction import EMBEDDING_SIZE, Style
from unprompt.presets import DEFAULT_PRESET, load_preset
from unprompt.scale.ray.answerer import Answerer, Asked, Broken, Refused
from unprompt.scale.ray.cluster import check_installed, imported
from unprompt.scale.ray.pool import DEADLY, Needs, deadly, raised
from unprompt.scale.ray.rows import Row, failed

if TYPE_CHECKING:
    from ray.data import Dataset

Table: TypeAlias = Any
"""pyarrow.Table; its types are not known where it is not installed."""

COLUMNS = (
    *("prompt", "origin", "confidence", "self_similarity", "negative_prompt", "tool"),
    *("error_kind", "error_message", "record"),
)
"""The columns that are added, beside `embedding`; `confidence` is the estimate, `record` the whole record as JSON."""

_TEXTS = ("prompt", "origin", "negative_prompt", "tool")
_KEY_BYTES = 256


def predict(
    dataset: Dataset,
    *,
    preset: str | Path = DEFAULT_PRESET,
    column: str = "bytes",
    name_column: str | None = "path",
    keep_pictures: bool = False,
    actors: int | tuple[int, int] = (1, 1000),
    actor_cpus: float = 1.0,
    actor_gpus: float = 0.0,
    batch_rows: int = 32,
    threads: int = 0,
    offline: bool = False,
    style: Style | None = None,
    text: bool = True,
    top: int = 5,
    ignore_metadata: bool = False,
    embedding: bool = False,
    pixel_limit_mp: float = 100.0,
    memory_limit_mb: float = MEMORY_LIMIT_MB,
) -> Dataset:
    """Answer the pictures of a `ray.data.Dataset`, lazily: one row for each of its rows, whatever becomes of a picture.

    `column` holds the files' bytes, or a struct with `bytes` (as Hugging Face stores pictures). Names are those of
    `name_column`, if there is one. All other columns stay, the pictures with `keep_pictures`; `COLUMNS` are added, and
    `embedding` (384 float32) on request. A picture that cannot be read has `error_kind` and `error_message`.

    `actors` is how many processes answer, or the fewest and the most; each takes `actor_cpus` and `actor_gpus` of its
    node and answers `batch_rows` at a time. What else there is, is as in `Unprompter.predict`. unprompt must be
    installed on every node, in this version.

    Raises as `unprompt.load` does, MissingExtraError, and DataError (no such column). The execution of the data set
    raises only what no picture causes: missing models on a node, say.
    """
    check_installed()
    opened = load_preset(preset)
    asked = Asked(
        preset_text=opened.text,
        preset_file=f"{opened.name}.toml",
        threads=threads or max(1, int(actor_cpus)),
        offline=offline,
        style=style,
        text=text,
        top=top,
        ignore_metadata=ignore_metadata,
        pixel_limit_mp=pixel_limit_mp,
        memory_limit_mb=memory_limit_mb,
        embedding=embedding,
    )
    asked.unprompter()  # what is wrong with it is said now, not by a worker later
    _check_columns(dataset, column)
    return answered(
        dataset,
        asked,
        column=column,
        name_column=name_column,
        keep_pictures=keep_pictures,
        actors=actors,
        needs=Needs(actor_cpus, actor_gpus),
        batch_rows=batch_rows,
    )


def answered(
    dataset: Dataset,
    asked: Asked,
    *,
    column: str,
    name_column: str | None,
    keep_pictures: bool,
    actors: int | tuple[int, int],
    needs: Needs,
    batch_rows: int,
) -> Dataset:
    """The data set with answers, as `predict` has it."""
    ray = imported()
    from ray.data import ActorPoolStrategy

    fewest, most = (actors, actors) if isinstance(actors, int) else actors
    witness = ray.remote(Witness).options(num_cpus=0, max_restarts=-1, max_task_retries=3).remote()
    return dataset.map_batches(
        Batches,
        fn_constructor_args=(asked, witness, column, name_column, keep_pictures),
        batch_size=batch_rows,
        batch_format="pyarrow",
        num_cpus=needs.cpus,
        num_gpus=needs.gpus,
        compute=ActorPoolStrategy(min_size=fewest, max_size=most),
    )


def _check_columns(dataset: Dataset, column: str) -> None:
    """Raise DataError for a missing column, where the columns are known without reading."""
    schema = dataset.schema(fetch_if_missing=False)
    if schema is not None and column not in schema.names:
        raise DataError(
            f"expected a column {column!r} of pictures, found {', '.join(schema.names)}; name it: column=..., and read "
            "files by ray.data.read_binary_files(..., include_paths=True)"
        )


class Witness:
    """How often each actor began a piece of work that it never ended: each time, its process died."""

    def __init__(self) -> None:
        self._begun: Counter[tuple[str, str]] = Counter()

    def begin(self, actor: str, work: str) -> int:
        """Note that the work begins; returns how often the actor began it before and did not end it."""
        self._begun[actor, work] += 1
        return self._begun[actor, work] - 1

    def end(self, actor: str, work: str) -> None:
        """Note that the actor outlived the work."""
        self._begun.pop((actor, work), None)


class Batches:
    """What an actor of Ray Data does with each batch."""

    def __init__(self, asked: Asked, witness: Any, column: str, name_column: str | None, keep_pictures: bool) -> None:
        self._answerer, self._embedding = Answerer(asked), asked.embedding
        self._column, self._name_column, self._keep_pictures = column, name_column, keep_pictures
        self._ray, self._witness = imported(), witness
        self._own_id = self._ray.get_runtime_context().get_actor_id()  # the same after a restart
        if (refused := self._answerer.prepare()) is not None:
            raise NodeError(refused.message, refused.exit_code)

    def __call__(self, batch: Table) -> Table:
        """The batch with its answers."""
        if self._column not in batch.column_names:
            raise DataError(f"expected a column {self._column!r}, found {', '.join(batch.column_names)}")
        added = _columns(self._rows(self._refs(batch)), embedding=self._embedding)
        dropped = {*added, *(() if self._keep_pictures else (self._column,))}
        kept = batch.drop_columns([name for name in batch.column_names if name in dropped])
        for name, values in added.items():
            kept = kept.append_column(name, values)
        return kept

    def _refs(self, batch: Table) -> list[ImageRef]:
        cells = batch[self._column].to_pylist()
        has_names = self._name_column in batch.column_names
        names = batch[self._name_column].to_pylist() if has_names else [None] * len(cells)
        return [_ref(number, cell, name) for number, (cell, name) in enumerate(zip(cells, names, strict=True))]

    def _rows(self, refs: Sequence[ImageRef]) -> list[Row]:
        work = _key(refs)
        result = None if self._deaths("begin", work) else _checked(self._answerer.answer(refs))
        rows = result if isinstance(result, list) else [self._alone(ref) for ref in refs]
        self._deaths("end", work)
        return rows

    def _alone(self, ref: ImageRef) -> Row:
        work = f"alone {_key([ref])}"
        if self._deaths("begin", work) >= DEADLY:
            return failed(ref, deadly("the logs of Ray may say of what"))
        result = _checked(self._answerer.answer([ref]))
        self._deaths("end", work)
        return failed(ref, raised(result)) if isinstance(result, Broken) else result[0]

    def _deaths(self, question: str, work: str) -> int:
        """How often this actor died of the work, as the witness says; 0 if that is gone, and then tries are added."""
        try:
            return self._ray.get(getattr(self._witness, question).remote(self._own_id, work)) or 0
        except self._ray.exceptions.RayError:
            return 0


def _ref(number: int, cell: Any, name: Any) -> ImageRef:
    """A picture in a row, by the name in the row or in the cell itself, or by its number in the batch."""
    data = cell
    if isinstance(cell, Mapping):
        data, name = cell.get("bytes"), name or cell.get("path")
    if isinstance(data, bytes):
        content: Bytes | Unavailable = Bytes(data)
    else:
        content = Unavailable("unreadable", f"expected the bytes of a picture, found {type(data).__name__}")
    return ImageRef(str(name or f"<bytes {number}>"), content)


def _key(refs: Sequence[ImageRef]) -> str:
    """What is the same when the same rows come again."""
    digest = hashlib.sha256()
    for ref in refs:
        data = ref.content.data if isinstance(ref.content, Bytes) else b""
        digest.update(f"{ref.source}\0{len(data)}\0".encode("utf-8", "surrogatepass") + data[:_KEY_BYTES] + b"\0")
    return digest.hexdigest()


def _checked(result: list[Row] | Refused | Broken) -> list[Row] | Broken:
    """Raises NodeError for what is no picture's fault."""
    if isinstance(result, Refused):
        raise NodeError(result.message, result.exit_code)
    return result


def _columns(rows: Sequence[Row], *, embedding: bool) -> dict[str, Any]:
    """The added columns, always the same and with the same types, for each batch becomes a block of its own."""
    import pyarrow

    def column(values: Sequence[Any], kind: Any) -> Any:
        return pyarrow.array(values, kind)

    records = [row.record for row in rows]
    errors = [record.get("error", {}) for record in records]
    texts = {name: [_readable(record.get(name)) for record in records] for name in _TEXTS}
    texts |= {f"error_{name}": [_readable(error.get(name)) for error in errors] for name in ("kind", "message")}
    columns = {name: column(values, pyarrow.string()) for name, values in texts.items()}
    sure = [record.get("confidence", {}).get("estimate") for record in records]
    columns["confidence"] = column(sure, pyarrow.float64())
    columns["self_similarity"] = column([record.get("self_similarity") for record in records], pyarrow.float64())
    columns["record"] = column([_readable(to_json(record)) for record in records], pyarrow.string())
    columns = {name: columns[name] for name in COLUMNS}
    if embedding:
        vectors = pyarrow.list_(pyarrow.float32(), EMBEDDING_SIZE)
        columns["embedding"] = column([record.get("embedding") for record in records], vectors)
    return columns


def _readable(text: str | None) -> str | None:
    """A text that is valid UTF-8: names of files need not be."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()
