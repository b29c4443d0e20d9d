"""What presets need, for a terminal: a member is shown even where it needs nothing, or nobody knows what."""

from __future__ import annotations

import pytest

from unprompt.cli.need_tables import Part, needs_lines, needs_table


@pytest.mark.parametrize(
    ("fault", "state", "line"), [("", "-", "  plain: no files"), ("colours: no", "unknown", "  plain: unknown")]
)
def test_a_member_without_files_has_a_row(fault: str, state: str, line: str) -> None:
    part = Part("colours", "0.2500", (), "plain", fault)
    table = needs_table([part])
    assert [list(column.cells) for column in table.columns][:3] == [["colours"], ["0.2500"], ["plain"]]
    assert list(table.columns[6].cells) == [state]
    assert list(needs_lines([part])) == ["colours, weight 0.2500", line]
