"""Templates are faces: pictures come back from them, and from nothing else."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from common.attacks.decoder import Decoder, numbers, signs
from common.attacks.inversion import Descent, Victims, descend, embedded, roughness
from common.errors import ModelError

SIDE, SIZE = 8, 24


class Toy(nn.Module):
    """A fixed random network (B, 3, 8, 8) -> (B, 24), unit rows."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.randn(SIZE, 3 * SIDE * SIDE, generator=torch.Generator().manual_seed(0))

    def forward(self, pixels: Tensor) -> Tensor:
        return F.normalize(torch.tanh((pixels - 0.5).flatten(1) @ self.weight.T / 4))


@pytest.fixture(scope="module")
def face() -> Toy:
    return Toy()


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    """300 pictures that differ in 12 directions, as faces differ in few."""
    rng = np.random.default_rng(1)
    drawn = rng.standard_normal((300, 12)) @ rng.standard_normal((12, SIDE * SIDE * 3))
    return (128 + 18 * drawn).clip(0, 255).astype(np.uint8).reshape(-1, SIDE, SIDE, 3)


@pytest.fixture(scope="module")
def templates(face: Toy, crops: np.ndarray) -> np.ndarray:
    planes = torch.from_numpy(crops.transpose(0, 3, 1, 2).copy()).float() / 255
    return embedded(face, planes)


def victims(templates: np.ndarray) -> Victims:
    return Victims(templates[200:], templates[200:], threshold=0.8)


def test_least_squares_turns_templates_of_strangers_into_pictures(
    face: Toy, crops: np.ndarray, templates: np.ndarray
) -> None:
    decoder = Decoder.fit(templates[:200], crops[:200])
    judged = victims(templates).judged(embedded(face, decoder.decode(templates[200:])))
    assert judged["type_1"]["value"] > 0.9
    assert judged["wrong"]["value"] < 0.1


def test_sign_codes_protect_nothing(face: Toy, crops: np.ndarray, templates: np.ndarray) -> None:
    decoder = Decoder.fit(signs(templates[:200]), crops[:200])
    found = embedded(face, decoder.decode(signs(templates[200:])))
    assert victims(templates).judged(found)["type_1"]["value"] > 0.5


def test_what_tells_nothing_decodes_to_nobody(
    face: Toy, crops: np.ndarray, templates: np.ndarray
) -> None:
    noise = np.random.default_rng(2).bytes(300 * 40)
    drawn = numbers([noise[40 * i : 40 * i + 40] for i in range(300)])
    decoder = Decoder.fit(drawn[:200], crops[:200])
    found = embedded(face, decoder.decode(drawn[200:]))
    assert victims(templates).judged(found)["type_1"]["value"] < 0.05
    mean = embedded(face, decoder.mean_face()).repeat(100, axis=0)
    assert victims(templates).judged(mean)["type_1"]["value"] < 0.05


def test_gradients_go_on_from_where_least_squares_ends(
    face: Toy, crops: np.ndarray, templates: np.ndarray
) -> None:
    decoder = Decoder.fit(templates[:5], crops[:5])  # too few teachers to do it alone
    start, done = decoder.decode(templates[200:230]), []
    how = Descent(steps=60, smooth=0.01, batch=16)
    made = descend(face, start, templates[200:230], how, done.append)
    judged = victims(templates).first(30)
    before, after = (judged.judged(embedded(face, one)) for one in (start, made))
    assert after["type_1"]["value"] == 1 > before["type_1"]["value"]
    assert done == [16, 14]
    assert made.min() >= 0 and made.max() <= 1
    assert torch.equal(made, descend(face, start, templates[200:230], how))


def test_smoothness_is_bought_with_likeness(face: Toy, templates: np.ndarray) -> None:
    start = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
    made = [descend(face, start, templates[:2], Descent(smooth=s)) for s in (0.0, 20.0)]
    assert (roughness(made[1]) < roughness(made[0])).all()


def test_whoever_is_judged_has_one_row_each(templates: np.ndarray) -> None:
    with pytest.raises(ModelError, match="one row a victim"):
        victims(templates).judged(templates[:1])
    with pytest.raises(ModelError, match="two victims"):
        Victims(templates[:1], templates[:1], 0.5)


def test_a_genuine_share_has_an_interval_around_it(templates: np.ndarray) -> None:
    share = victims(templates).genuine()
    assert share["value"] == 1
    assert share["ci95"][0] < 1 == share["ci95"][1]
    assert share["n"] == 100


@pytest.mark.parametrize(
    ("vectors", "count"),
    [(np.zeros((1, 2)), 1), (np.zeros((3, 2)), 2), (np.full((2, 2), np.nan), 2)],
)
def test_a_decoder_refuses_what_it_cannot_learn_from(vectors: np.ndarray, count: int) -> None:
    with pytest.raises(ModelError, match="a decoder learns from"):
        Decoder.fit(vectors, np.zeros((count, SIDE, SIDE, 3), np.uint8))


def test_blobs_of_two_lengths_are_not_numbers() -> None:
    with pytest.raises(ModelError, match="one length"):
        numbers([b"ab", b"abc"])
