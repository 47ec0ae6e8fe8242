"""Names and sizes of the arrays that sites release, the same at the site and at the centre."""

from common.moments.packing import packed_size

FRAME_WEIGHT, FRAME_BIAS = "frame.weight", "frame.bias"  # feature (D,) -> coordinates (K,)
SHIFT = "negatives.shift"  # (D,) that moves public features to where a pool's people lie
GRADIENT = "gradient."  # before the name of the parameter an update belongs to
EVALUATION = "evaluation."  # before whatever an evaluation asks with or releases
THRESHOLD = EVALUATION + "threshold"  # (m,) cosines at which pairs are accepted


def sum_name(mechanism: str) -> str:
    """The released sum of the contributions of a mechanism."""
    return f"moments.{mechanism}.sum"


def count_name(mechanism: str) -> str:
    """[people, sites] behind a pooled sum: public constants, never a count of anybody."""
    return f"moments.{mechanism}.count"


def noise_name(mechanism: str) -> str:
    """[factor] of the noise variance of a pooled sum over that of a plain sum of the releases."""
    return f"moments.{mechanism}.noise"


def evaluation_sum(mechanism: str) -> str:
    """The released sum of the cells of an evaluation; see ``common.privacy.cells``."""
    return f"{EVALUATION}{mechanism}.sum"


def evaluation_count(mechanism: str) -> str:
    """[people, sites] behind a pooled sum of cells: public constants, as with a moment."""
    return f"{EVALUATION}{mechanism}.count"


def evaluation_noise(mechanism: str) -> str:
    """[factor] of its noise, as with a moment."""
    return f"{EVALUATION}{mechanism}.noise"


def asked_name(mechanism: str, array: str) -> str:
    """Under which the centre keeps ``array`` of the request for an evaluation in a pool."""
    return f"{EVALUATION}{mechanism}.asked.{array}"


def sum_size(kind: str, side: int) -> int:
    """Length of the vector a mechanism of ``kind`` releases in ``side`` coordinates."""
    if kind == "mean":
        return side
    if kind == "scatter":
        return packed_size(side)
    return side + packed_size(side)
