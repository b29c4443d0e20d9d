import pytest
from fuzz.inputs import TARGETS
from fuzz.known_hostile import FILES, numbered
from fuzz.workers import Limits, fuzz


@pytest.mark.parametrize("target", TARGETS)
def test_time_and_memory_stay_small(target):
    summary = fuzz(target, 0, range(len(FILES[target])), limits=Limits(slow_cpu_s=1.0, memory_mb=250), source=numbered)
    assert summary.inputs == len(FILES[target])
    assert [(FILES[target][fault.index].__name__, fault.kind) for fault in summary.faults] == []
