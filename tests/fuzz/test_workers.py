import pytest
from fuzz.inputs import TARGETS
from fuzz.misbehaving import MISDEEDS, misbehave, number
from fuzz.run import main
from fuzz.workers import Limits, fuzz

LIMITS = Limits(stuck_s=6, slow_cpu_s=0.3, memory_mb=150)  # half a second of CPU takes less than six on busy cores


@pytest.fixture(scope="module")
def summary():
    return fuzz("metadata", 0, range(12), jobs=2, limits=LIMITS, source=number, check=misbehave)


def test_each_misdeed_is_noticed_and_the_rest_still_run(summary):
    assert {fault.index: fault.kind for fault in summary.faults} == MISDEEDS
    assert summary.inputs == 12


def test_last_words_are_kept(summary):
    words = {fault.kind: fault.detail for fault in summary.faults}
    assert "three is too many" in words["ValueError"]
    assert "the last words" in words["dead"]
    assert "in misbehave" in words["dead"]  # faulthandler's list of frames
    assert "in misbehave" in words["stuck"]


def test_the_slowest_and_the_greediest_are_told(summary):
    assert summary.slowest_index == 10
    assert summary.slowest_cpu_s > 0.3
    assert summary.highest_mb > 150


def test_command_line(tmp_path, capsys):
    options = ["--inputs", "100", "--jobs", "2", "--out", str(tmp_path / "faults")]
    assert main(options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" in ")[0] for line in lines] == [f"{target}: 100 inputs" for target in TARGETS]
    assert all("faults: none" in line for line in lines)
    assert not (tmp_path / "faults").exists()


def test_command_line_keeps_what_failed(tmp_path, capsys):
    options = ["--target", "metadata", "--inputs", "1", "--memory-mb", "1", "--out", str(tmp_path)]
    assert main(options) == 1
    captured = capsys.readouterr()
    assert "faults: 1 memory" in captured.out
    assert f"memory at input 0, kept as {tmp_path / 'metadata-0-0'}" in captured.err
    assert (tmp_path / "metadata-0-0").stat().st_size


def test_one_input_alone(tmp_path):
    assert main(["--only", "17", "--out", str(tmp_path)]) == 0
