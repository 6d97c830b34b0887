"""What plugins declare of published weights that a network can start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from avbench.types.settings import Setting


@dataclass(frozen=True, slots=True)
class WeightSpec:
    """Published weights a network can start from; `setting` is the setting that chooses them.

    A preset that has "auto" there, or a name, needs weights: on real data it refuses to start without them. One that
    has "random" starts at random by design. Several weights of one `setting` are alternatives, the best first. `part`
    is what of the network they start, in a word or two (empty: the setting less "_weights"). `when` are the settings
    under which the network has that part, `fits` those under which this file fits it; both name a value by setting.
    `random` is False for a part that cannot start at random.

    `url` is where the file is; `file` is its name there (empty: the end of `url`). A host that cannot be scripted, such
    as Google Drive, is for the hand: `by_hand` says in words what to do with what it gives, where that is not the file
    itself. `size` is in bytes (0: unknown). `sha256` is that of the file, or its beginning where no more is known.
    `shipped` is the "package:file" of weights that come with the plugin; they are chosen by name, never by "auto".
    """

    name: str
    setting: str
    title: str
    url: str
    licence: str
    sha256: str = ""
    shipped: str = ""
    part: str = ""
    when: Mapping[str, Setting] = field(default_factory=dict, hash=False)
    fits: Mapping[str, Setting] = field(default_factory=dict, hash=False)
    random: bool = True
    file: str = ""
    by_hand: str = ""
    size: int = 0

    @property
    def starts(self) -> str:
        """Return what of the network these weights start, in a word or two."""
        return self.part or self.setting.removesuffix("_weights")

    @property
    def scripted(self) -> bool:
        """Whether the file can be downloaded by a program."""
        return not self.by_hand and "drive.google.com" not in self.url
