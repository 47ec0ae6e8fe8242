"""`mascaron-lab text train` writes what it trained, wherever that is to be."""

import hashlib
import json
from pathlib import Path

from click.testing import CliRunner

from common.text.encoder import read_encoder
from simulations.cli import main


def test_the_weights_are_written_into_a_folder_that_was_not_there(tmp_path: Path) -> None:
    out = tmp_path / "new" / "encoder.safetensors"
    done = CliRunner().invoke(main, ["text", "train", "--steps", "1", "--out", str(out)])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert read_encoder(out).size == 64
