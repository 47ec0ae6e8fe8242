"""The bench of galleries runs small, and times nothing that answers wrongly."""

import json

import numpy as np
import pytest

from client.vault.gallery import Gallery, Hits
from simulations.benchmarks import gallery


def test_the_bench_prints_its_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    gallery.main(["--rows", "2000", "--dim", "64", "--repeats", "2"])
    report = json.loads(capsys.readouterr().out)
    assert report["bench"] == "gallery"
    for name in ("ratio_single", "ratio_batch", "ratio_prefilter"):
        assert report[name] > 0
        assert report[f"{name}_typical"] > 0
    assert 1.5 < report["ratio_memory"] < 1.7


def test_a_search_that_answers_wrongly_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    search = Gallery.search

    def turned(self: Gallery, *arguments: object, **options: object) -> Hits:
        hits = search(self, *arguments, **options)  # type: ignore[arg-type]
        persons = tuple(people[::-1] for people in hits.persons)
        return Hits(persons=persons, scores=np.flip(hits.scores, 1), exact=True)

    monkeypatch.setattr(Gallery, "search", turned)
    with pytest.raises(AssertionError, match="found others"):
        gallery.measure(1000, 32, 1)
