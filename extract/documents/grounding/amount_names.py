"""Tells by a field's name whether its value is an amount, which may be written in several ways, or an identifier."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from extract.documents.grounding.folding import LIGHT, fold

__all__ = ["names_amount"]

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[\W_]+")
# English, German, French, Spanish, Italian, Portuguese, Dutch, Polish, Russian.
_AMOUNTS: Final = """
amount total subtotal sum price cost fee tax vat gst net gross due balance discount paid pay charge rate salary wage
revenue income budget fare rent deposit tip change cash quantity qty weight percent percentage
summe preis kosten steuer mwst netto brutto menge rabatt gebühr
montant prix coût taxe tva remise quantité importe precio impuesto iva cantidad descuento saldo
importo prezzo imposta quantità sconto valor preço quantidade desconto bedrag prijs btw aantal korting
kwota cena ilość сумма цена итого стоимость ндс количество
"""
_ENDINGS: Final = ("betrag", "preis", "summe", "kosten", "steuer", "gebühr", "menge", "bedrag", "prijs")
_SIGNS: Final = re.compile("金額|金额|合計|合计|価格|价格|总额|総額|数量|税")
_IDENTIFIERS: Final = """
id ids number numbers no nr num code codes ref reference account date day method type name kind key serial sku iban
nummer numéro número numero konto datum номер
"""


@lru_cache(maxsize=1024)
def names_amount(name: str) -> bool:
    """Return whether a field is named like an amount (`total`, `unitPrice`, `Gesamtbetrag`), not like a code of one."""
    words = [fold(word, LIGHT).text for word in _HUMP.split(name) if word]
    if not _FOLDED_IDENTIFIERS.isdisjoint(words):
        return False
    return _SIGNS.search(name) is not None or any(map(_is_amount, words))


def _is_amount(word: str) -> bool:
    return word.endswith(_FOLDED_ENDINGS) or any(word.removesuffix(end) in _FOLDED_AMOUNTS for end in _PLURALS)


def _folded(words: Iterable[str]) -> Iterator[str]:
    return (fold(word, LIGHT).text for word in words)


_PLURALS: Final = ("", "s", "es", "n", "en", "e")
_FOLDED_AMOUNTS: Final = frozenset(_folded(_AMOUNTS.split()))
_FOLDED_ENDINGS: Final = tuple(_folded(_ENDINGS))
_FOLDED_IDENTIFIERS: Final = frozenset(_folded(_IDENTIFIERS.split()))
