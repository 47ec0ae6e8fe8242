"""The fixed public bank of prompts: every attribute, there and not there, in both languages.

Nobody's text is in it. It says where in the space of an encoder an attribute lies: the middle of
the prompts that it is there minus that of those that it is not, so that an encoder which hardly
sees a "no" is asked by what tells the two apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import ModelError
from common.text.encoding import TextEncoder, unit
from common.text.grammar import sentence
from common.text.vocabulary import LANGUAGES, Language, names, vocabulary

TEMPLATES = ("phrase", "person", "sentence")


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """One text of the bank and what it says."""

    attribute: str
    present: bool
    language: Language
    template: str
    text: str


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Bank:
    """``prompts`` and their ``matrix`` (P, T) of unit rows in the space of the encoder ``hash``."""

    hash: str
    prompts: tuple[Prompt, ...]
    matrix: NDArray[np.float32]

    def contrast(self, attribute: str) -> NDArray[np.float32]:
        """(T,) unit: from where ``attribute`` is not towards where it is."""
        apart = self._middle(attribute, True) - self._middle(attribute, False)
        return np.asarray(unit(apart[None])[0], np.float32)

    def _middle(self, attribute: str, present: bool) -> NDArray[np.float32]:
        rows = [
            row
            for row, prompt in enumerate(self.prompts)
            if prompt.attribute == attribute and prompt.present is present
        ]
        if not rows:
            raise ModelError(f"the bank holds no prompt about {attribute!r}")
        return np.asarray(self.matrix[rows].mean(axis=0), np.float32)


def prompts(
    attributes: Sequence[str] | None = None, languages: Sequence[Language] = LANGUAGES
) -> tuple[Prompt, ...]:
    """All prompts about ``attributes`` (default: the whole vocabulary), in a fixed order."""
    return tuple(
        Prompt(
            attribute=name,
            present=present,
            language=language,
            template=template,
            text=_text(name, present, language, template),
        )
        for name in (names() if attributes is None else attributes)
        for present in (True, False)
        for language in languages
        for template in TEMPLATES
    )


def embed_bank(encoder: TextEncoder, attributes: Sequence[str] | None = None) -> Bank:
    """The bank in the space of ``encoder``."""
    listed = prompts(attributes)
    matrix = encoder.encode([prompt.text for prompt in listed])
    return Bank(hash=encoder.hash, prompts=listed, matrix=matrix)


def _text(name: str, present: bool, language: Language, template: str) -> str:
    said = vocabulary()[name].phrases(language).says(present)
    if template == "phrase":
        return said
    if template == "sentence":
        return sentence({name: present}, language=language)
    return f"somebody, {said}" if language == "en" else f"\u6709\u4eba{said}"
