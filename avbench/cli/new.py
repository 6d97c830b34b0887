"""`avbench new`: write a plugin that works, to be changed."""

from __future__ import annotations

import argparse
from pathlib import Path

from avbench.cli.terminal import say
from avbench.errors import UserError

EXAMPLES = """examples:
  avbench new detector mine
  avbench check --plugin mine.py mine
  avbench run --plugin mine.py --detector mine --protocol cross_lavdf_to_fakeav --task binary
"""

DETECTOR = '''"""{title}: a detector for avbench."""

import torch

from avbench.detector import Detector
from avbench.hookspecs import hookimpl
from avbench.types import ClipSpec, DetectorSpec, Output, Preset, Stage


class {title}(Detector):
    def __init__(self, config):
        super().__init__(config)
        self.head = torch.nn.Linear(2, self.classes)

    def forward(self, batch):
        motion = batch.video.float().diff(dim=1).abs().mean(dim=(1, 2, 3, 4)) / 255
        loudness = batch.audio.abs().mean(dim=1)
        return Output(logits=self.head(torch.stack([motion, loudness], dim=1)))


@hookimpl
def avbench_detectors():
    preset = Preset(clip=ClipSpec(size=112), stages=(Stage(epochs=3, batch=16, micro_batch=16, lr=1e-2),))
    yield DetectorSpec(name="{name}", title="{title}", load=f"{{__name__}}:{title}", presets=(preset,))
'''


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("kind", choices=("detector",))
    parser.add_argument("name", help="a-z, 0-9 and _")
    parser.add_argument("--out", type=Path, metavar="FILE.py", help="default: NAME.py")


def execute(arguments: argparse.Namespace) -> int:
    """Write the file, unless there is one."""
    if not arguments.name.isidentifier() or arguments.name != arguments.name.lower():
        raise UserError(f"{arguments.name!r} is no name for a detector: use a-z, 0-9 and _, beginning with a letter")
    path = arguments.out or Path(f"{arguments.name}.py")
    if path.exists():
        raise UserError(f"{path} is there already; choose another name or --out")
    title = "".join(part.capitalize() for part in arguments.name.split("_"))
    path.write_text(DETECTOR.format(name=arguments.name, title=title), "utf-8")
    say(f"wrote {path}; next: avbench check --plugin {path} {arguments.name}")
    return 0
