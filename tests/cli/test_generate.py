"""unprompt data generate, with a real pipeline of tiny size that is loaded from its folder."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hub_server
import numpy as np
import pytest
from PIL import Image

from unprompt.cli.main import main
from unprompt.datasets.pairs import checked_pairs
from unprompt.errors import MissingExtraError

pytestmark = pytest.mark.torch

Unprompt = Callable[..., Any]

PROMPTS = [f"a {colour} {thing}" for colour in ("red", "blue", "green") for thing in ("cat", "castle")]
COMMAND = [sys.executable, "-c", "import sys; from unprompt.cli.main import main; sys.exit(main())", "data", "generate"]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two tiny models: `plain`, and `strict`, whose safety checker lets no picture pass."""
    pytest.importorskip("diffusers")
    import tiny_pipeline

    folder = tmp_path_factory.mktemp("models")
    tiny_pipeline.save(folder / "plain")
    tiny_pipeline.save(folder / "strict", filter_all=True)
    return folder


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.txt"
    path.write_text("\n".join(PROMPTS) + "\n")
    return path


def options(model: Path, folder: Path, **changes: object) -> list[str]:
    chosen = {"size": 32, "steps": 2, "seeds": 2, "shard_size": 5, "format": "png", "device": "cpu"} | changes
    named = [str(part) for name, value in chosen.items() for part in (f"--{name.replace('_', '-')}", value)]
    return ["-o", str(folder), "--model", str(model), *named]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def unbroken(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run over all prompts writes that nobody disturbs: 12 pictures, 3 shards."""
    folder = tmp_path_factory.mktemp("unbroken")
    (folder / "prompts.txt").write_text("\n".join(PROMPTS))
    command = [
        "unprompt",
        "data",
        "generate",
        str(folder / "prompts.txt"),
        *options(models / "plain", folder / "pairs"),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", command)
        assert main() == 0
    return folder / "pairs"


def test_pairs_come_back_through_the_reader(unbroken: Path) -> None:
    pairs, faults = checked_pairs(unbroken)
    assert not faults
    assert [pair.prompt for pair in pairs] == [prompt for prompt in PROMPTS for _ in range(2)]
    assert len({pair.fields["seed"] for pair in pairs}) == 12
    assert {(pair.fields["generator"], pair.fields["steps"], pair.fields["width"]) for pair in pairs} == {
        ("plain", 2, 32)
    }
    run = json.loads((unbroken / "generation.json").read_text())
    assert run["settings"]["model"] == "plain"
    assert len(run["settings"]["weights"]) == 16
    assert run["versions"].keys() == {"unprompt", "diffusers", "transformers", "torch"}


def test_the_same_line_again_changes_nothing(
    unprompt: Unprompt, models: Path, prompts: Path, unbroken: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(unbroken, tmp_path / "pairs"))
    shutil.rmtree(folder / "shard-00001")
    before = files(unbroken)
    for made, there in ((5, 7), (0, 12)):
        run = unprompt("data", "generate", prompts, *options(models / "plain", folder))
        assert (run.code, run.out) == (0, f"{folder}\n")
        assert not made or f"{made} made, {there} were there" in run.err
        assert files(folder) == before


def test_pictures_do_not_depend_on_batch_order_and_company(
    unprompt: Unprompt, models: Path, unbroken: Path, tmp_path: Path
) -> None:
    path = tmp_path / "records.jsonl"
    records = [{"file_name": f"{prompt}.png", "text": prompt} for prompt in ["new", *PROMPTS[::-1]]]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    changes = {"batch_size": 4, "seeds": 3, "shard_size": 100}
    assert unprompt("data", "generate", path, *options(models / "plain", tmp_path / "pairs", **changes)).code == 0
    other = {(pair.prompt, pair.fields["seed"]): pair for pair in checked_pairs(tmp_path / "pairs")[0]}
    assert len(other) == 21
    for pair in checked_pairs(unbroken)[0]:
        twin = other[pair.prompt, pair.fields["seed"]]
        here, there = (np.asarray(Image.open(each.picture.file)).astype(int) for each in (pair, twin))
        assert abs(here - there).max() <= 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": 3}, "steps 2 there, 3 here"),
        ({"seeds": 1, "format": "jpg"}, "format png there, jpg here; seeds 2 there, 1 here"),
        ({"precision": "bf16"}, "precision fp32 there, bf16 here"),
    ],
)
def test_other_settings_are_refused(
    unprompt: Unprompt, models: Path, prompts: Path, unbroken: Path, changes: dict[str, object], said: str
) -> None:
    before = files(unbroken)
    run = unprompt("data", "generate", prompts, *options(models / "plain", unbroken, **changes))
    assert run.code == 2
    assert said in run.err
    assert files(unbroken) == before


def test_other_weights_of_the_same_name_are_refused(
    unprompt: Unprompt, models: Path, prompts: Path, unbroken: Path, tmp_path: Path
) -> None:
    import tiny_pipeline

    folder = Path(shutil.copytree(unbroken, tmp_path / "pairs"))
    shutil.rmtree(folder / "shard-00001")
    other = tiny_pipeline.save(tmp_path / "plain", seed=1)
    run = unprompt("data", "generate", prompts, *options(other, folder))
    assert run.code == 2
    assert "weights " in run.err
    assert not (folder / "shard-00001").exists()


def test_filtered_pictures_are_counted(unprompt: Unprompt, models: Path, prompts: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pairs"
    for _ in range(2):
        run = unprompt("data", "generate", prompts, *options(models / "strict", folder, seeds=1))
        assert run.code == 3
        assert "6 of 6 pictures were not kept (6 filtered)" in run.err
    assert not list(folder.rglob("*.png"))


def no_weights(model: Path) -> None:
    for path in model.rglob("*.safetensors"):
        path.rename(path.with_suffix(".bin"))


def damaged_weights(model: Path) -> None:
    (model / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"\xff" * 100)


def index(**changes: object) -> Callable[[Path], None]:
    def change(model: Path) -> None:
        path = model / "model_index.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (no_weights, "cannot load"),
        (damaged_weights, "cannot load"),
        (lambda model: (model / "model_index.json").unlink(), "expected a diffusers model with a model_index.json"),
        (lambda model: (model / "model_index.json").write_text("[" * 100_000), "cannot read"),
        (lambda model: (model / "model_index.json").write_text("[]"), "found None"),
        (index(_class_name="FluxPipeline"), "expected a StableDiffusionPipeline"),
        (index(_class_name=["pipeline", "Mine"]), "expected a StableDiffusionPipeline"),
        (index(unet=["antigravity", "Model"]), "expected unet to come from diffusers or"),
        (index(unet=["diffusers", "NoSuchModel"]), "cannot load"),
        (index(unet=[]), "expected unet to come from"),
        (index(unet=[["a"], "b"]), "expected unet to come from"),
        (index(unet="diffusers"), "cannot load"),
    ],
)
def test_a_model_that_is_none(
    unprompt: Unprompt, models: Path, prompts: Path, tmp_path: Path, harm: Callable[[Path], None], said: str
) -> None:
    model = Path(shutil.copytree(models / "plain", tmp_path / "model"))
    harm(model)
    run = unprompt("data", "generate", prompts, *options(model, tmp_path / "pairs"))
    assert run.code == 2
    assert said in run.err
    assert "antigravity" not in sys.modules
    assert not (tmp_path / "pairs").exists()


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("./nowhere", "expected an existing folder, or a hub model as OWNER/NAME"),
        ("nowhere", "expected an existing folder, or a hub model as OWNER/NAME"),
        ("no body/at home", "expected the weights of no body/at home in "),
        ("nobody/model", "expected the weights of nobody/model in "),
    ],
)
def test_a_model_that_is_not_there(unprompt: Unprompt, prompts: Path, tmp_path: Path, model: str, said: str) -> None:
    pytest.importorskip("diffusers")
    arguments = ["-o", tmp_path / "pairs", "--model", model, "--offline", "--device", "cpu"]
    run = unprompt("data", "generate", prompts, *arguments)
    assert run.code == 2
    assert said in run.err


def cache_tiny(models: Path, cache: Path) -> None:
    """Put the plain model into a cache of the hub, as somebody/tiny."""
    repository = cache / "models--somebody--tiny"
    shutil.copytree(models / "plain", repository / "snapshots" / ("a" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)


def test_a_hub_model_in_the_cache_needs_no_network(
    unprompt: Unprompt, models: Path, prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    cache_tiny(models, tmp_path / "hub")
    arguments = options(Path("somebody/tiny"), tmp_path / "pairs", seeds=1)
    run = unprompt("data", "generate", prompts, *arguments, "--offline")
    assert (run.code, "fetching" in run.err) == (0, False)
    assert checked_pairs(tmp_path / "pairs")[0][0].fields["generator"] == "somebody/tiny"


def test_a_dead_hub_is_noticed_before_torch_is_loaded(prompts: Path, tmp_path: Path) -> None:
    pytest.importorskip("diffusers")
    code = (
        "import sys; from unprompt.cli.main import main; code = main(); "
        "print(*{'torch', 'diffusers'} & {*sys.modules}); sys.exit(code)"
    )
    with hub_server.dead_address() as address:
        place = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "0"}
        arguments = [*options(Path("somebody/tiny"), tmp_path / "pairs"), "-q"]
        run = subprocess.run(
            [sys.executable, "-c", code, "data", "generate", str(prompts), *arguments],
            env=os.environ | place,
            capture_output=True,
            text=True,
            check=False,
        )
    assert (run.returncode, run.stdout.strip()) == (2, "")
    assert "somebody/tiny cannot be had: the hub is out of reach" in run.stderr
    assert not (tmp_path / "pairs").exists()


def test_a_folder_that_is_complete_needs_no_hub(
    unprompt: Unprompt, models: Path, prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = options(Path("somebody/tiny"), tmp_path / "pairs", seeds=1)
    with hub_server.dead_address() as address:
        hub_server.ask_hub_at(address, tmp_path, monkeypatch)
        cache_tiny(models, tmp_path / "hub")
        assert unprompt("data", "generate", prompts, *arguments).code == 0
        shutil.rmtree(tmp_path / "hub")
        assert unprompt("data", "generate", prompts, *arguments).code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--size", "33"], "multiple of 8"),
        (["--size", "32", "--save-size", "40"], "at most --size, 32, found 40"),
        (["--device", "abacus"], "expected a device of this machine"),
        (["--seeds", "0"], "--seeds"),
        (["--format", "gif"], "--format"),
    ],
)
def test_options_that_make_no_sense(
    unprompt: Unprompt, prompts: Path, tmp_path: Path, arguments: Sequence[str], said: str
) -> None:
    pytest.importorskip("diffusers")
    run = unprompt("data", "generate", prompts, "-o", tmp_path / "pairs", *arguments)
    assert run.code == 2
    assert said in run.err


def test_records_that_cannot_be_used(unprompt: Unprompt, models: Path, tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_bytes(b"a red cat\n\xff\n")
    arguments = options(models / "plain", tmp_path / "pairs", seeds=1)
    run = unprompt("data", "generate", path, *arguments)
    assert (run.code, "leave them out with --skip-bad" in run.err, (tmp_path / "pairs").exists()) == (2, True, False)
    run = unprompt("data", "generate", path, *arguments, "--skip-bad")
    assert (run.code, "cannot be used: 1 broken-record" in run.err) == (0, True)
    assert [pair.prompt for pair in checked_pairs(tmp_path / "pairs")[0]] == ["a red cat"]


def test_repeated_prompts_are_drawn_once(unprompt: Unprompt, models: Path, tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_bytes("\ufeffeine Straße\r\n\n  eine Straße \n猫\u2028犬".encode())
    run = unprompt("data", "generate", path, *options(models / "plain", tmp_path / "pairs"))
    assert run.err.startswith("unprompt: 2 prompts, 4 pictures; 1 of 1 shards to do\n")
    pairs, _faults = checked_pairs(tmp_path / "pairs")
    assert [pair.prompt for pair in pairs] == [*["eine Straße"] * 2, *["猫\u2028犬"] * 2]


@pytest.mark.parametrize("content", [None, b"", b"\n \n", b"good\n\xff\n", b"x" * (2 << 20)])
def test_no_prompts(unprompt: Unprompt, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "prompts.txt"
    if content is not None:
        path.write_bytes(content)
    run = unprompt("data", "generate", path, "-o", tmp_path / "pairs")
    assert run.code == 2
    assert "prompts.txt" in run.err
    assert not (tmp_path / "pairs").exists()


def test_the_extra_is_named(unprompt: Unprompt, prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    run = unprompt("data", "generate", prompts, "-o", tmp_path / "pairs")
    assert (run.code, run.err) == (2, f"unprompt: {MissingExtraError('generating pictures', 'generate')}\n")


def start(prompts: Path, arguments: Sequence[str]) -> subprocess.Popen[str]:
    command = [*COMMAND, str(prompts), *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_processes_of_which_one_is_killed(models: Path, prompts: Path, tmp_path: Path, unbroken: Path) -> None:
    folder = tmp_path / "pairs"
    arguments = options(models / "plain", folder)
    with start(prompts, arguments) as first, start(prompts, arguments) as second:
        while not (claims := list(folder.glob(".work/shard-*.0"))) or not list(folder.glob(".work/*/*.png")):
            assert first.poll() is second.poll() is None
            time.sleep(0.005)
        owner = json.loads(claims[0].read_text())["process"]
        killed, left = (first, second) if owner == first.pid else (second, first)
        killed.kill()
        killed.communicate()  # until then the system counts it among the living
        _, said = left.communicate(timeout=100)
    assert left.returncode == 0, said
    assert files(folder) == files(unbroken)


# The interrupt may arrive while Pillow saves a picture, which then leaves its file to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_an_interrupt_keeps_what_is_finished(unprompt: Unprompt, models: Path, prompts: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pairs"
    ended = threading.Event()

    def interrupt() -> None:
        while not list(folder.glob(".work/shard-00002-*/*.png")) and not ended.wait(0.005):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, lambda number, frame: None)  # where it comes too late
    thread = threading.Thread(target=interrupt)
    thread.start()
    arguments = ["data", "generate", prompts, *options(models / "plain", folder, seeds=20)]
    try:
        run = unprompt(*arguments)
    finally:
        ended.set()
        thread.join()
        signal.signal(signal.SIGTERM, before)
    assert run.code == 130
    assert "finished shards are kept" in run.err
    assert len(checked_pairs(folder)[0]) in range(10, 120, 5)
    assert unprompt(*arguments).code == 0
    assert len(checked_pairs(folder)[0]) == 120
    assert not (folder / ".work").exists()
