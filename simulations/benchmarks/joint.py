"""One network for detection, identity and labels beside networks of one task each.

    mascaron-lab bench joint [--out FOLDER] [--people 240] [--steps 500] [--minutes M]
                             [--faces PACK --pairs TSV]

``joint`` learns all tasks with one body; ``identity`` is the same network with that task alone:
what the other heads cost (``identity_points``, with a paired interval by person; ``reached`` where
it is half a point or less). ``separate`` are three networks, one a task, with
about as many parameters together as the joint one. All are trained publicly on the same invented
people in the same order for the same number of steps, and judged on people and scenes that none has
seen: TAR at FAR 1e-2, mean balanced accuracy of attributes, mean error of age in years, recall of
faces at one false alarm in ten pictures, median error of landmarks over the distance of the eyes.
With ``--faces`` and ``--pairs`` the protocol of LFW too. Costs are of one crop and of one picture
of 640x480: multiplications, and milliseconds in turns.

What is done is kept in ``--out``: the same command goes on from there, after ``--minutes`` too, and
figures of other options are refused. The last line on stdout is one JSON object.
"""

import argparse
import json
import math
import os
import statistics
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from common.errors import RunError
from simulations.benchmarks.arguments import at_least

if TYPE_CHECKING:
    from common.detection.joint import JointNetwork, Task
    from common.faces.faceset import FaceSet
    from server.detecting.joint import JointOptions

SEED, HELD = 616_161, 626_262  # of the people who train, and of those who judge
NARROW = 0.7  # width at which three networks have about the parameters of one
ASKED = ("people", "pictures", "steps", "scenes")
SIZES = {"crop": (112, 112), "picture": (480, 640)}


def main(arguments: Sequence[str]) -> None:
    """Trains and measures what is not there yet, and prints the JSON line."""
    parser = argparse.ArgumentParser(prog="joint", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/joint"))
    parser.add_argument("--people", type=at_least(20), default=240)
    parser.add_argument("--pictures", type=at_least(2), default=5)
    parser.add_argument("--steps", type=at_least(1), default=500)
    parser.add_argument("--scenes", type=at_least(1), default=24)
    parser.add_argument("--repeats", type=at_least(1), default=9)
    parser.add_argument("--minutes", type=float, default=math.inf)
    for name in ("--faces", "--pairs"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args(arguments)
    import torch

    torch.set_num_threads(1)
    done = measure(options, time.monotonic())
    report: dict[str, Any] = {"bench": "joint", "ended": len(done) == len(arms(options.steps))}
    report |= {"people": options.people, "steps": options.steps, "networks": done}
    if report["ended"]:
        report |= compared(done) | {"ms": speed(options)}
    for one in done.values():
        for unsaid in ("draws", "terms"):
            one.pop(unsaid, None)
    report["load"] = [round(load, 1) for load in os.getloadavg()]
    click.echo(json.dumps(report))


def arms(steps: int) -> "dict[str, JointOptions]":
    """What is trained, by name."""
    from common.detection.joint import TASKS
    from server.detecting.joint import JointOptions

    found = {
        "joint": JointOptions(tasks=TASKS, steps=steps),
        "identity": JointOptions(tasks=("identity",), steps=steps),
    }
    for task in TASKS:
        found[f"separate_{task}"] = JointOptions(tasks=(task,), width=NARROW, steps=steps)
    return found


def measure(options: argparse.Namespace, began: float) -> dict[str, Any]:
    """The figures of every network, those that ``--out`` has among them."""
    from server.detecting.joint import Material, train_joint
    from server.detecting.material import make_collages

    options.out.mkdir(parents=True, exist_ok=True)
    wanted, done, material = arms(options.steps), dict[str, Any](), None
    terms = {name: getattr(options, name) for name in ASKED}
    terms |= {name: str(getattr(options, name)) for name in ("faces", "pairs")}
    for name, told in wanted.items():
        kept = options.out / f"{name}.json"
        left = options.minutes - (time.monotonic() - began) / 60
        if kept.is_file():
            done[name] = json.loads(kept.read_text("utf-8"))
            if done[name].get("terms") != terms:
                raise RunError(f"{kept} is of other options; give those, or another --out")
            continue
        if left <= 0:
            break
        if material is None:
            faces = invented(options.out, options.people, options.pictures, SEED)
            drawn = told.collages
            material = Material(faces, make_collages(drawn, options.out, lambda *_: None))
        network = train_joint(options.out / name, material, told, left)
        if network is None:
            break
        done[name] = judged(network, options) | {"terms": terms}
        kept.write_text(json.dumps(done[name]), "utf-8")
    return done


def invented(folder: Path, people: int, pictures: int, seed: int) -> "FaceSet":
    """Invented people, kept in ``folder``."""
    from common.synthetic.kept import kept_faces

    return kept_faces(folder, people, pictures, seed)


def judged(network: "JointNetwork", options: argparse.Namespace) -> dict[str, Any]:
    """How one network does at its tasks, and what it costs."""
    from simulations.benchmarks.joint_tasks import detection, identity, labels, protocol

    held = invented(options.out, max(20, options.people // 2), options.pictures, HELD)
    report: dict[str, Any] = {"parameters": parameters(network), "mmacs": macs(network)}
    if "identity" in network.tasks:
        report |= identity(network, held)
        if options.faces and options.pairs:
            report |= protocol(network, options.faces, options.pairs)
    if "labels" in network.tasks:
        report |= labels(network, held)
    if "detection" in network.tasks:
        report |= detection(network, options.scenes)
    return report


def parameters(network: "JointNetwork") -> int:
    """How many numbers a folded network has, about: BatchNorm leaves one for each channel."""
    from torch import nn

    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    return sum(p.numel() for p in network.parameters()) - sum(m.num_features for m in norms)


def macs(network: "JointNetwork") -> dict[str, float]:
    """Millions of multiplications for a crop and for a picture, as far as the tasks ask."""
    import torch
    from torch import nn

    total = 0

    def count(layer: nn.Module, _: Any, made: torch.Tensor) -> None:
        nonlocal total
        weight = layer.weight
        assert isinstance(weight, torch.Tensor)
        total += made[0].numel() * weight[0].numel()

    hooks = [
        layer.register_forward_hook(count)
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    found = {}
    with torch.no_grad():
        for name, size in SIZES.items():
            total = 0
            _run(network, name, torch.zeros(1, 3, *size))
            found[name] = round(total / 1e6, 2)
    for hook in hooks:
        hook.remove()
    return found


def speed(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Milliseconds of processor time of the joint network, and of the separate ones together."""
    import torch

    from common.detection.joint import TASKS
    from common.models.fold import fold_batchnorm
    from server.detecting.joint import heads_for
    from simulations.benchmarks.embed import Run, in_turns

    heads = heads_for(invented(options.out, options.people, options.pictures, SEED))
    contenders = {"joint": [_fresh(TASKS, heads, 1.0)]}
    contenders["separate"] = [_fresh((task,), heads, NARROW) for task in TASKS]
    folded = {name: [fold_batchnorm(one) for one in found] for name, found in contenders.items()}
    report = {}
    for size, sides in SIZES.items():
        x = torch.zeros(1, 3, *sides)
        runs: dict[str, Run] = {
            name: partial(_run_all, found, size, x) for name, found in folded.items()
        }
        times = in_turns(runs, options.repeats)
        taken = {k: statistics.median(cpu for _, cpu in v) for k, v in times.items()}
        report[size] = {k: round(1e3 * v, 2) for k, v in taken.items()}
    return report


def compared(done: dict[str, Any]) -> dict[str, Any]:
    """What the other heads cost identity, and joint beside separate, task by task."""
    import numpy as np

    from common.metrics.intervals import interval

    joint = done["joint"]
    apart = {
        k: v for name, one in done.items() if name.startswith("separate") for k, v in one.items()
    }
    sizes = [one["parameters"] for name, one in done.items() if name.startswith("separate")]
    report: dict[str, Any] = {"separate_parameters": sum(sizes)}
    alone = done["identity"]
    report["identity_points"] = round(100 * (joint["tar"] - alone["tar"]), 2)
    again = np.subtract(joint["draws"], alone["draws"])
    report["identity_points_ci95"] = [round(100 * end, 2) for end in interval(again)]
    report["reached"] = report["identity_points"] >= -0.5
    for figure in ("tar", "attributes", "age_error", "recall", "landmark_error", "lfw_accuracy"):
        if figure in joint and figure in apart:
            report[f"joint_less_separate_{figure}"] = round(joint[figure] - apart[figure], 4)
    return report


def _run_all(networks: list[Any], size: str, x: Any) -> None:
    import torch

    with torch.no_grad():
        for network in networks:
            _run(network, size, x)


def _fresh(tasks: "Sequence[Task]", heads: Any, width: float) -> Any:
    from common.detection.joint import build_joint

    return build_joint(tasks, heads, 0, width).eval()


def _run(network: Any, size: str, x: Any) -> None:
    """What the tasks ask of a crop, or of a whole picture."""
    if size == "picture":
        if "detection" in network.tasks:
            network.detect(x)
        return
    if network.tasks == ("detection",):
        return
    feature = network.feature(x)
    if "identity" in network.tasks:
        network.embed(feature)
    for head in network.heads if "labels" in network.tasks else ():
        head.logits(network.arrays, feature)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
