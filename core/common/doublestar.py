"""Patterns of names such as ``team/**/{api,web}-?``: compiled once, matched in bounded time.

``*`` stands for any characters of one path segment and ``?`` for one of them. ``**`` as a whole
segment stands for any number of segments, none included; inside a longer segment it is ``*``.
``{a,b}`` stands for each alternative, ``[a-c]`` for one of a class and ``[^a-c]`` for one
outside of it. A backslash takes the meaning from the character behind it.

All alternatives are one automaton that reads a name once, from left to right, with all of its
states in the bits of one number. So a name costs as many steps as it has characters, whatever
the pattern is; translated into regular expressions, a few stars would take for ever.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import ClassVar, Final, NamedTuple

from core.common.errors import DomainError, ErrorKind

MAXIMUM_LENGTH: Final = 1024
MAXIMUM_ALTERNATIVES: Final = 128
"""How many patterns without braces one pattern may stand for."""

MAXIMUM_SIZE: Final = 2048
"""How long these may be, all together."""

_MAXIMUM_DEPTH: Final = 8
_REMEMBERED_CHARACTERS: Final = 256
_SEPARATOR: Final = "/"


class PatternInvalid(DomainError):
    """A pattern of names cannot be understood, or stands for too much."""

    code: ClassVar[str] = "PATTERN_INVALID"
    kind: ClassVar[ErrorKind] = ErrorKind.INVALID
    default_message: ClassVar[str] = "The pattern is not valid."


class _Literal(NamedTuple):
    character: str


class _One(NamedTuple):
    """One character of a segment, within the ranges or, when ``is_negated``, outside of them."""

    ranges: tuple[tuple[str, str], ...]
    is_negated: bool

    def takes(self, character: str) -> bool:
        found = any(low <= character <= high for low, high in self.ranges)
        return character != _SEPARATOR and found != self.is_negated


class _Star(NamedTuple):
    """Any characters of one segment."""


class _Fork(NamedTuple):
    """The beginning of a whole segment ``**``: here begins the next segment, or ``_Deep``."""


class _Deep(NamedTuple):
    """Segments that ``**`` stands for, up to the separator before the next one."""


class _Rest(NamedTuple):
    """A last segment ``**``: whatever is left."""


_Token = _Literal | _One | _Star
_State = _Token | _Fork | _Deep | _Rest | None
_Tokens = tuple[_Token, ...]


@dataclass(frozen=True)
class Pattern:
    """A compiled pattern. Bit ``n`` of a number stands for state ``n``.

    Each alternative has a state for each of its items, and None behind the last of them, where
    it has matched.
    """

    _states: tuple[_State, ...]
    _begin: int
    _accept: int
    _may_skip: int
    _may_fork: int
    _steps: dict[str, tuple[int, int]] = field(default_factory=dict, compare=False, repr=False)

    def matches(self, name: str) -> bool:
        """Tell whether the whole name fits."""
        fork, skip, steps = self._may_fork, self._may_skip, self._steps
        current = self._begin | (self._begin & fork) << 2
        current |= (current & skip) << 1
        for character in name:
            advancing, staying = steps.get(character) or self._step(character)
            current = ((current & advancing) << 1) | (current & staying)
            if not current:
                return False
            # What is reached without a character.
            current |= (current & fork) << 2
            current |= (current & skip) << 1
        return bool(current & self._accept)

    def _step(self, character: str) -> tuple[int, int]:
        """Return the states that the character leads on from, and those it may stay in."""
        step = (
            _bits(_advances(state, character) for state in self._states),
            _bits(_stays(state, character) for state in self._states),
        )
        if len(self._steps) < _REMEMBERED_CHARACTERS:
            self._steps[character] = step
        return step


@lru_cache(maxsize=512)
def compile_pattern(text: str) -> Pattern:
    """Return the pattern. Raises ``PatternInvalid`` saying what is wrong with it."""
    if not text:
        raise PatternInvalid("A pattern must not be empty; ** stands for everything.")
    if len(text) > MAXIMUM_LENGTH:
        raise PatternInvalid(f"A pattern has at most {MAXIMUM_LENGTH} characters.")
    programs = [_states_of(tokens) for tokens in _Parser(text).parse()]
    states: tuple[_State, ...] = tuple(chain.from_iterable((*one, None) for one in programs))
    return Pattern(
        states,
        _begin=_bits(index == 0 or states[index - 1] is None for index in range(len(states))),
        _accept=_bits(state is None for state in states),
        _may_skip=_bits(isinstance(state, _Star | _Fork | _Rest) for state in states),
        _may_fork=_bits(isinstance(state, _Fork) for state in states),
    )


def _bits(flags: Iterable[bool]) -> int:
    return sum(1 << index for index, flag in enumerate(flags) if flag)


def _advances(state: _State, character: str) -> bool:
    match state:
        case _Literal(wanted):
            return character == wanted
        case _One():
            return state.takes(character)
        case _Deep():
            return character == _SEPARATOR
        case _:
            return False


def _stays(state: _State, character: str) -> bool:
    if isinstance(state, _Star):
        return character != _SEPARATOR
    return isinstance(state, _Deep | _Rest)


def _states_of(tokens: _Tokens) -> list[_State]:
    """Turn one alternative into its states, segment by segment."""
    segments: list[list[_Token]] = [[]]
    for token in tokens:
        if token == _Literal(_SEPARATOR):
            segments.append([])
        else:
            segments[-1].append(token)
    states: list[_State] = []
    for position, segment in enumerate(segments):
        is_last = position == len(segments) - 1
        if segment != [_Star(), _Star()]:
            states += [
                token
                for index, token in enumerate(segment)
                if not (index and token == segment[index - 1] == _Star())
            ]
            states += [] if is_last else [_Literal(_SEPARATOR)]
        elif is_last:
            states.append(_Rest())
        elif position == 0 or segments[position - 1] != segment:
            # Two of them one after the other say no more than one.
            states += [_Fork(), _Deep()]
    return states


class _Parser:
    """Takes a pattern apart and writes out its braces, never beyond the bounds."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def parse(self) -> list[_Tokens]:
        """Return the alternatives. Raises ``PatternInvalid``."""
        return self._sequence(depth=0)

    def _sequence(self, depth: int) -> list[_Tokens]:
        """Read up to the end, or inside of braces up to the next comma or closing brace."""
        found: list[_Tokens] = [()]
        while (character := self._peek()) and not (depth and character in ",}"):
            self._position += 1
            if character == "{":
                found = _combined(found, self._group(depth + 1))
            else:
                found = _combined(found, [(self._token(character),)])
        return found

    def _group(self, depth: int) -> list[_Tokens]:
        if depth > _MAXIMUM_DEPTH:
            raise PatternInvalid(f"Braces can be nested {_MAXIMUM_DEPTH} deep.")
        found: list[_Tokens] = []
        while True:
            found += self._sequence(depth)
            _ensure_bounded(found)
            end = self._take("A brace { is not closed.")
            if end == "}":
                return found

    def _token(self, character: str) -> _Token:
        match character:
            case "*":
                return _Star()
            case "?":
                return _One((), is_negated=True)
            case "[":
                return self._class()
            case "\\":
                return _Literal(self._take("Nothing follows the last backslash."))
            case _:
                return _Literal(character)

    def _class(self) -> _One:
        is_negated = self._peek() in ("^", "!")
        self._position += is_negated
        ranges: list[tuple[str, str]] = []
        while (low := self._take("A bracket [ is not closed.")) != "]":
            low, high = self._escaped(low), ""
            if self._peek() == "-" and self._text[self._position + 1 :][:1] not in ("", "]"):
                self._position += 1
                high = self._escaped(self._take("A bracket [ is not closed."))
            if high and high < low:
                raise PatternInvalid(f"The range {low}-{high} in brackets is empty.")
            ranges.append((low, high or low))
        if not ranges:
            raise PatternInvalid("Brackets [] must not be empty.")
        return _One(tuple(ranges), is_negated)

    def _escaped(self, character: str) -> str:
        if character != "\\":
            return character
        return self._take("Nothing follows the last backslash.")

    def _peek(self) -> str:
        return self._text[self._position : self._position + 1]

    def _take(self, otherwise: str) -> str:
        character = self._peek()
        if not character:
            raise PatternInvalid(otherwise)
        self._position += 1
        return character


def _combined(heads: list[_Tokens], tails: list[_Tokens]) -> list[_Tokens]:
    """Return each head with each tail."""
    if len(heads) * len(tails) > MAXIMUM_ALTERNATIVES:
        raise PatternInvalid(f"The braces stand for more than {MAXIMUM_ALTERNATIVES} patterns.")
    combined = [head + tail for head in heads for tail in tails]
    _ensure_bounded(combined)
    return combined


def _ensure_bounded(alternatives: list[_Tokens]) -> None:
    if len(alternatives) > MAXIMUM_ALTERNATIVES:
        raise PatternInvalid(f"The braces stand for more than {MAXIMUM_ALTERNATIVES} patterns.")
    if sum(map(len, alternatives)) > MAXIMUM_SIZE:
        raise PatternInvalid("The braces stand for patterns that are too long all together.")
