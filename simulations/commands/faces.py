"""`mascaron-lab faces`: invents people, renders them, and writes them down with their labels."""

import json
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from common.console import result
from common.errors import ConfigError, DataSetError, RunError
from common.faces.pictures import encode
from common.faces.store import save_folder, save_pack
from common.outputs import check_file, check_folder
from common.synthetic.generate import synthetic_faces
from common.synthetic.labels import ATTRIBUTES
from common.synthetic.scenes import Scene, draw_scene
from simulations.augmented_sheet import augmented_sheet
from simulations.gallery import gallery, write_png
from simulations.progress import Bars

PACK = ".npz"
SCENES = "scenes"  # the folder, and with .jsonl the list of the faces in them


@dataclass(frozen=True, kw_only=True)
class FacesOptions:
    """Everything ``mascaron-lab faces`` may be told."""

    people: int
    pictures: int
    seed: int
    out: Path | None = None
    scenes: int = 0
    gallery: Path | None = None
    augmented: Path | None = None
    processes: int = 1

    def __post_init__(self) -> None:
        if self.out is None and self.gallery is None and self.augmented is None:
            raise ConfigError("nothing to do: say --out, --gallery, --augmented, or several")
        if self.scenes and (self.out is None or _is_pack(self.out) or not self.out.name):
            raise ConfigError("scenes need a folder with a name: say --out FOLDER, not a pack")


def faces_command(**options: object) -> None:
    """Writes faces, scenes and the gallery; prints what was written as JSON."""
    given = FacesOptions(**options)  # type: ignore[arg-type]
    _check_room(given)
    told: dict[str, object] = {}
    with Bars(Console(stderr=True)) as bars:
        if given.gallery is not None:
            write_png(given.gallery, gallery(given.seed))
            told["gallery"] = str(given.gallery)
        if given.augmented is not None:
            write_png(given.augmented, augmented_sheet(given.seed))
            told["augmented"] = str(given.augmented)
        if given.out is not None:
            told |= _write_faces(given, given.out, bars)
        if given.out is not None and given.scenes:
            told |= _write_scenes(given, given.out, bars)
    result(told)


def _check_room(given: FacesOptions) -> None:
    """Whether all can be written is told before hours of rendering; nothing is overwritten."""
    if given.gallery is not None:
        check_file(given.gallery, "--gallery")
    if given.augmented is not None:
        check_file(given.augmented, "--augmented")
    if given.out is not None and _is_pack(given.out):
        check_file(given.out, new=True)
    elif given.out is not None:
        check_folder(given.out, new=True)
        if given.scenes:
            check_folder(scenes_folder(given.out), new=True)


def _is_pack(out: Path) -> bool:
    return out.suffix.lower() == PACK


def scenes_folder(out: Path) -> Path:
    """Beside the people's folder, since every folder within is a person."""
    return out.with_name(f"{out.name}-{SCENES}")


def _write_faces(given: FacesOptions, out: Path, bars: Bars) -> dict[str, object]:
    step = bars.start("faces", given.people * given.pictures)
    done = 0

    def progress(so_far: int) -> None:
        nonlocal done
        step(so_far - done)
        done = so_far

    faces = synthetic_faces(
        given.people, given.pictures, given.seed, progress, processes=given.processes
    )
    _make(out.parent)
    (save_pack if _is_pack(out) else save_folder)(out, faces)
    return {
        "out": str(out),
        "people": len(faces.people),
        "pictures": len(faces),
        "attributes": list(faces.attribute_names),
    }


def _write_scenes(given: FacesOptions, out: Path, bars: Bars) -> dict[str, object]:
    folder = scenes_folder(out)
    _make(folder)
    step = bars.start("scenes", given.scenes)
    lines, faces = [], 0
    try:
        for number in range(given.scenes):
            scene = draw_scene(number, given.seed)
            (folder / f"{number:05}.jpg").write_bytes(encode(scene.picture))
            lines.append(json.dumps(_told(number, scene)))
            faces += len(scene.faces)
            step(1)
        (folder / f"{SCENES}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    except OSError as error:
        raise DataSetError(f"{folder}: cannot be written ({error.strerror})") from None
    return {"scenes": str(folder), "faces_in_scenes": faces}


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error.strerror}") from error


def _told(number: int, scene: Scene) -> dict[str, object]:
    """One line of ``scenes.jsonl``."""
    return {
        "picture": f"{number:05}.jpg",
        "faces": [
            {
                "person": f"synthetic-{face.person:05}",
                "box": [round(value, 1) for value in face.box],
                "landmarks": face.landmarks.round(1).tolist(),
                "age": face.label.age,
                "attributes": [
                    name
                    for name, true in zip(ATTRIBUTES, face.label.attributes, strict=True)
                    if true
                ],
                "text": face.label.text,
            }
            for face in scene.faces
        ],
    }
