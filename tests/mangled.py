"""Picture files with a few bytes wrong, as strangers and broken disks make them."""

import numpy as np


def mangled(original: bytes, rng: np.random.Generator) -> bytes:
    """``original`` with bits flipped, or bytes overwritten, left out or put in."""
    data = bytearray(original)
    head = min(len(data), int(rng.choice([40, 200, len(data)])))  # headers are the weak spots
    match rng.integers(5):
        case 0:
            for at in rng.integers(0, head, rng.integers(1, 8)):
                data[at] ^= 1 << int(rng.integers(8))
        case 1:
            at = int(rng.integers(0, head))
            data[at : at + 4] = rng.bytes(4)
        case 2:
            at = int(rng.integers(0, head))
            del data[at : at + int(rng.integers(1, 64))]
        case 3:
            at = int(rng.integers(0, head))
            data[at:at] = rng.bytes(int(rng.integers(1, 64)))
        case _:
            at = int(rng.integers(0, head))
            data[at : at + 4] = bytes([int(rng.choice([0, 127, 128, 255]))]) * 4
    return bytes(data)
