"""The same few labelled pictures in every layout that a data set may have."""

import csv
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

Record = dict[str, Any]
"""file_name, prompt and fields; `picture` (bytes, None for none) is what lies at file_name."""


def picture(number: int, kind: str = "png") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (16 + number, 16), (20 * number % 256, 90, 160)).save(data, kind)
    return data.getvalue()


def records(count: int) -> list[Record]:
    return [
        {"file_name": f"{number:03}.png", "prompt": f"picture, {number}", "seed": number, "picture": picture(number)}
        for number in range(count)
    ]


def described(record: Record) -> Record:
    return {key: value for key, value in record.items() if key != "picture"}


def write_pictures(folder: Path, rows: Iterable[Record]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for row in rows:
        if row["picture"] is not None:
            (folder / row["file_name"]).write_bytes(row["picture"])


def write_jsonl(path: Path, rows: Sequence[Record]) -> Path:
    write_pictures(path.parent, rows)
    path.write_text("".join(json.dumps(described(row)) + "\n" for row in rows), encoding="utf-8")
    return path


def write_csv(path: Path, rows: Sequence[Record]) -> Path:
    write_pictures(path.parent, rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(described(rows[0])))
        table.writeheader()
        table.writerows(map(described, rows))
    return path


def write_parquet(path: Path, rows: Sequence[Record], *, plain: bool = False, group_rows: int = 2) -> Path:
    import pyarrow
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    columns: dict[str, Any] = {key: [row[key] for row in rows] for key in described(rows[0]) if key != "file_name"}
    struct = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
    cells = [row["picture"] if plain else {"bytes": row["picture"], "path": row["file_name"]} for row in rows]
    columns["jpg" if plain else "image"] = pyarrow.array(cells, pyarrow.binary() if plain else struct)
    parquet.write_table(pyarrow.table(columns), path, row_group_size=group_rows)
    return path


def write_tar(path: Path, rows: Iterable[Record], texts: str = "both") -> Path:
    """`texts` is "txt", "json" or "both"; a record without a prompt has no text."""
    files = []
    for row in rows:
        key = row["file_name"].partition(".")[0]
        files.append((row["file_name"], row["picture"]))
        if texts != "json" and row.get("prompt") is not None:
            files.append((f"{key}.txt", row["prompt"].encode()))
        if texts != "txt":
            fields = {name: value for name, value in described(row).items() if name != "file_name"}
            files.append((f"{key}.json", json.dumps(fields).encode()))
    return write_members(path, files)


def write_members(path: Path, files: Iterable[tuple[str, bytes | None]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, data in files:
            if data is not None:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return path


def _folder(write: Callable[[Path, Sequence[Record]], Path], *names: str) -> Callable[[Path, Sequence[Record]], str]:
    """The rows shared out among the files of a folder."""

    def written(folder: Path, rows: Sequence[Record]) -> str:
        share = -(-len(rows) // len(names))
        for number, name in enumerate(names):
            write(folder / "set" / name, rows[number * share : (number + 1) * share])
        return str(folder / "set")

    return written


def _file(write: Callable[[Path, Sequence[Record]], Path], name: str) -> Callable[[Path, Sequence[Record]], str]:
    return lambda folder, rows: str(write(folder / "set" / name, rows))


def _of_hub(write: Callable[[Path, Sequence[Record]], str]) -> Callable[[Path, Sequence[Record]], str]:
    return lambda folder, rows: f"hub:{write(folder, rows)}"


TABLES = {
    "jsonl": _file(write_jsonl, "list.jsonl"),
    "csv": _file(write_csv, "list.csv"),
    "folder with jsonl": _folder(write_jsonl, "metadata.jsonl"),
    "folder with csv": _folder(write_csv, "metadata.csv"),
    "folders with csv": _folder(write_csv, "test/metadata.csv", "train/metadata.csv"),
}
PARQUET = {
    "parquet": _file(write_parquet, "train.parquet"),
    "parquet of bytes": _file(lambda path, rows: write_parquet(path, rows, plain=True), "train.parquet"),
    "folder of parquet": _folder(write_parquet, "data/train-0-of-2.parquet", "data/train-1-of-2.parquet"),
}
TARS = {
    "tar": _file(write_tar, "0.tar"),
    "tar of txt": _file(lambda path, rows: write_tar(path, rows, "txt"), "0.tar"),
    "tar of json": _file(lambda path, rows: write_tar(path, rows, "json"), "0.tar"),
    "tar.gz": _file(write_tar, "0.tar.gz"),
    "folder of tars": _folder(write_tar, "0.tar", "1.tar"),
    "pattern": lambda folder, rows: f"{_folder(write_tar, 'a-0.tar', 'a-1.tar')(folder, rows)}/a-*.tar",
}
HUB = {
    "hub, parquet": _of_hub(_folder(write_parquet, "data/train-0-of-2.parquet", "data/train-1-of-2.parquet")),
    "hub, folder": _of_hub(_folder(write_jsonl, "train/metadata.jsonl")),
    "hub, tars": _of_hub(_folder(write_tar, "train-0.tar", "train-1.tar")),
}
LAYOUTS = {**TABLES, **PARQUET, **TARS, **HUB}
