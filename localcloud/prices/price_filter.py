"""Reads the `$filter` of a price question: comparisons joined by `and` and `or`, with brackets.

Values are compared exactly, as the Retail Prices API does since 2023-01-01-preview; `priceType` names the field `type`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

Row = Mapping[str, object]
Matches = Callable[[Row], bool]

TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<sign>[(),])|(?P<word>[A-Za-z][A-Za-z0-9]*)|(?P<end>$))")
FIELDS = {
    field.lower(): field
    for field in (
        *("armRegionName", "armSkuName", "currencyCode", "effectiveStartDate", "location", "meterId", "meterName"),
        *("productId", "productName", "serviceFamily", "serviceId", "serviceName", "skuId", "skuName", "unitOfMeasure"),
    )
} | {"pricetype": "type", "type": "type"}


class FilterError(Exception):
    """A filter that cannot be read; the text says where and why."""


def read_filter(text: str) -> Matches:
    """Return the test that the filter describes, or raise FilterError. An empty filter lets everything through."""
    if not text.strip():
        return lambda _row: True
    return _Reader(text).whole()


class _Reader:
    """Reads one filter from left to right; `and` binds closer than `or`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._kind: str | None = None
        self._word = ""
        self._step()

    def whole(self) -> Matches:
        matches = self._either()
        if self._kind != "end":
            raise self._error("nothing more was expected")
        return matches

    def _either(self) -> Matches:
        choices = [self._both()]
        while self._take_word("or"):
            choices.append(self._both())
        return lambda row: any(choice(row) for choice in choices)

    def _both(self) -> Matches:
        demands = [self._single()]
        while self._take_word("and"):
            demands.append(self._single())
        return lambda row: all(demand(row) for demand in demands)

    def _single(self) -> Matches:
        if self._word == "(":
            self._step()
            inner = self._either()
            self._expect(")")
            return inner
        if self._take_word("contains"):
            return self._contains()
        field = self._field()
        if self._take_word("eq"):
            value = self._value()
            return lambda row: row.get(field) == value
        if self._take_word("ne"):
            value = self._value()
            return lambda row: row.get(field) != value
        raise self._error("eq or ne was expected")

    def _contains(self) -> Matches:
        self._expect("(")
        field = self._field()
        self._expect(",")
        part = self._value()
        self._expect(")")
        return lambda row: part in str(row.get(field, ""))

    def _field(self) -> str:
        field = FIELDS.get(self._word.lower()) if self._kind == "word" else None
        if field is None:
            raise self._error("a field to filter on was expected")
        self._step()
        return field

    def _value(self) -> str:
        if self._kind != "text":
            raise self._error("a value in single quotes was expected")
        value = self._word[1:-1].replace("''", "'")
        self._step()
        return value

    def _take_word(self, word: str) -> bool:
        found = self._kind == "word" and self._word.lower() == word
        if found:
            self._step()
        return found

    def _expect(self, sign: str) -> None:
        if self._word != sign:
            raise self._error(f"{sign} was expected")
        self._step()

    def _step(self) -> None:
        match = TOKEN.match(self._text, self._at)
        if match is None:
            raise FilterError(f"cannot read the filter from {self._text[self._at :]!r}")
        self._at = match.end()
        self._kind = match.lastgroup
        self._word = match[match.lastgroup] if match.lastgroup else ""

    def _error(self, what: str) -> FilterError:
        seen = repr(self._word) if self._word else "the end"
        return FilterError(f"{what} in the filter, but there is {seen}")
