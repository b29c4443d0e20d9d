import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kills
import pytest
from ray_clusters import cluster, ray  # noqa: F401 - fixtures


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kills.make_pictures(tmp_path_factory.mktemp("pictures"), 20)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_a_cluster_gives_the_records_of_one_process_and_goes_on(
    unprompt: Callable[..., Any], preset: Path, pictures: Path, tmp_path: Path
) -> None:
    asked = [pictures, "--preset", preset, "--no-text", "--embedding"]
    assert unprompt(*asked, "-o", tmp_path / "one.jsonl").code == 3
    on_cluster = [*asked, "-o", tmp_path / "out", "--cluster", "ray", "--actors", 2, "--chunk-pictures", 6]

    first = unprompt(*on_cluster)

    assert first.code == 3, first.err
    assert "20 pictures on a cluster of 1 node" in first.err
    assert unprompt("merge", tmp_path / "out", "-o", tmp_path / "merged.jsonl").code == 3
    assert (tmp_path / "merged.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()

    again = unprompt(*on_cluster)
    assert again.code == 3
    assert "19 answered before" in again.err
    assert len(list((tmp_path / "out" / "parts").iterdir())) == 1

    other = unprompt(*on_cluster, "--ignore-metadata")
    assert other.code == 2
    assert "holds another run: options.ignore_metadata False there, True here" in other.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "OUT", "--cluster", "ray://127.0.0.1:9"], "expected a Ray cluster at ray://127.0.0.1:9, found none"),
        (["-o", "OUT", "--cluster", "spark"], "expected --cluster ray or ray://HOST:PORT, found 'spark'"),
        (["--cluster", "ray"], "need a folder for their parts; add -o FOLDER"),
        (["-o", "OUT", "--cluster", "ray", "--parts", "csv"], "expected --parts jsonl, parquet, webdataset, found csv"),
        (["-o", "OUT", "--cluster", "ray", "--format", "csv"], "give it to 'unprompt merge', or use --parts"),
        (["-o", "OUT", "--cluster", "ray", "--failures", "f.jsonl"], "omit --sidecar, --vectors and --failures"),
        (["-o", "s3://bucket/out", "--cluster", "ray"], "expected a folder here, where the command writes"),
        (["-o", "OUT", "--cluster", "ray", "--shards", "2", "--shard", "0"], "omit --shards and --shard"),
        (["-o", "PICTURES", "--cluster", "ray"], "expected a new or empty folder"),
        (["-", "-o", "OUT", "--cluster", "ray"], "expected pictures that every worker can list, found -"),
    ],
)
def test_what_cannot_be_done_is_said_before_a_picture_is_read(
    unprompt: Callable[..., Any], pictures: Path, preset: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    pytest.importorskip("ray", reason="needs the extra [ray]")
    places = {"OUT": str(tmp_path / "out"), "PICTURES": str(pictures)}

    run = unprompt(pictures, "--preset", preset, *(places.get(option, option) for option in options))

    assert run.code == 2, run.err
    assert message in run.err
    assert not (tmp_path / "out" / "parts").exists()


def test_without_ray_the_extra_is_named(
    unprompt: Callable[..., Any], pictures: Path, preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)

    run = unprompt(pictures, "--preset", preset, "-o", tmp_path / "out", "--cluster", "ray")

    assert run.code == 2
    assert "pip install 'unprompt[ray]'" in run.err
