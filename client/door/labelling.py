"""What may be said of somebody's pictures here, by the names of the vocabulary.

Guarantee: nothing forbidden is kept, nothing that the operator denies, and nothing from which no
head may learn at this site (`heads` in policy.toml). What is refused is never repeated.
Leaks: a refusal tells whoever may enrol which kinds of labels the site takes.
"""

from client.policy import SitePolicy
from client.vault.labels import AGE, Labels, Told
from common.errors import LabelError
from common.text.vocabulary import canonical


class LabelRules:
    """Labels as ``policy`` allows them: none at all where a site has none."""

    def __init__(self, policy: SitePolicy | None = None) -> None:
        self._policy = policy

    def kept(self, told: Told) -> Labels | None:
        """``told`` as it is kept; None where nothing is said.

        ``ForbiddenError`` for what is about something forbidden or denied, ``LabelError`` for a
        name that nobody here knows, one thing that is said twice, and a kind that is not taken.
        """
        if not told:
            return None
        shown: dict[str, bool] = {}
        for label, said in told.items():
            if label == AGE:
                continue
            column = canonical(label)  # which refuses what is forbidden
            if column is None or not isinstance(said, bool):
                raise LabelError("a label is a name of the vocabulary, and yes or no")
            name, so = column
            if name in shown:
                raise LabelError("one thing is said of a picture twice")
            shown[name] = said if so else not said
        age = told.get(AGE)
        self._check((*shown, *([] if age is None else [AGE])))
        return Labels(shown=shown, age=age)

    def _check(self, names: tuple[str, ...]) -> None:
        if self._policy is None:
            raise LabelError("this site has no policy.toml, so no head may learn from labels")
        for name in names:
            self._policy.check_label(name)
