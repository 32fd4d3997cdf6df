"""What differs between the models of a picture: what one of them says on a topic, and another one does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

Said = tuple[str, str, str]  # topic, title of the box, text


@dataclass(frozen=True)
class Differences:
    """The differences between what models say.

    Details of a box are compared with models that have a box of this title: where none has, the title says enough.
    """

    models: Sequence[AbstractSet[Said]]

    @cached_property
    def _counts(self) -> Counter[Said]:
        return Counter(chain.from_iterable(self.models))

    def __contains__(self, said: Said) -> bool:
        """Whether another model lacks what one says."""
        topic, title, _ = said
        all_of_them = self._counts[f"{topic.partition(' ')[0]} title", "", title] if title else len(self.models)
        return self._counts[said] < all_of_them
