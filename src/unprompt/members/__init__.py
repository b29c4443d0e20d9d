"""The members of the ensemble. Each looks at pictures in its own way and votes with a vector, a text or both.

- `member.py` is the contract: what a member is, and what a kind of member says of itself. Open it first.
- `regressor.py`, `captioner.py`, `interrogator.py`, `neighbours.py`: one file for each kind, with its options.
- `kinds.py` finds a kind by its name, among ours and those of other packages.
- `opening.py` opens the members of a preset, and says which of them cannot vote here and why.
- `device_room.py` has members use a device together, or one after the other where it is too small.
- `written.py` is the vote of a prompt that the file itself holds.
"""
