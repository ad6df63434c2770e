"""A section of options as a pydantic model: types and ranges are checked, and an error becomes one sentence.

The sentence says what a value must be, in words that are made here from the option's type and bounds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from .options import OptionError, is_range, shown, unknown_option

LARGEST = 2**31 - 1  # integer that torch, numpy and tensor sizes surely accept
SECTION = 'a section of its own, with indented "key: value" lines'
UNKNOWN = ('extra_forbidden', 'invalid_key')
ENDS = ('ge', 'le', 'lt')
LEFT_OUT: Any = None  # default of an option that can be left out; a user's own null is refused
PLAIN = {str: 'text', Path: 'a file', NoneType: 'left empty'}
Model = TypeVar('Model', bound='Section')


@dataclass(frozen=True)
class Said:
    """Words for what a value must be, used if type and bounds say too little; part of an ``Annotated`` type."""

    text: str


class Wrong(ValueError):
    """Error of a whole section's validator about one of its options; ``allowed`` says what the option must be."""

    def __init__(self, option: str, allowed: str):
        super().__init__(option)
        self.option, self.allowed = option, allowed


def require(met: bool) -> None:
    """Raise a ValueError in a validator of one option if ``met`` is false; the message comes from the option's type."""
    if not met:
        raise ValueError


def _range(value: Any) -> Any:
    require(is_range(value))
    return value


LISTED = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)  # YAML has no tuples
Count = Annotated[int, Field(ge=1, le=LARGEST)]
FromZero = Annotated[int, Field(ge=0, le=LARGEST)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], LISTED, Field(min_length=1)]
Range = Annotated[Any, AfterValidator(_range), Said('the lowest and highest possible value, as in [0, 5]')]


class Section(BaseModel):
    """Options that belong together: each field is an option, its docstring says what it does."""

    model_config = ConfigDict(
        extra='forbid', strict=True, frozen=True, allow_inf_nan=False, protected_namespaces=(),
        use_attribute_docstrings=True,
    )  # fmt: skip

    @classmethod
    def check(cls: type[Model], options: Any, where: str | None = '') -> Model:
        """Check a user's options and make the section.

        Args:
            options: the user's values, by name.
            where: whose options these are, such as 'train'; None if their names say enough.

        Raises:
            OptionError: for an option that is unknown, missing or does not fit its type.
        """
        try:
            return cls.model_validate(options)
        except ValidationError as error:
            raise refusal(cls, error, options, where) from None


def refusal(model: type[Section], error: ValidationError, options: Any, where: str | None) -> OptionError:
    """Make an error of one sentence from pydantic's; an unknown name comes first, as it is often a missing one misspelt."""
    errors = error.errors(include_url=False)
    first = next((one for one in errors if one['type'] in UNKNOWN), errors[0])
    cause, place = first.get('ctx', {}).get('error'), first['loc']
    if isinstance(cause, OptionError):
        return cause
    if isinstance(cause, Wrong):
        place = (*place, cause.option)
    names, kind, value = _option_at(place, model, options)
    if first['type'] in UNKNOWN:
        return unknown_option(place[-1], _bare(kind).model_fields, _joined(where, *names))
    if not names:
        return OptionError(f'{_joined(where)} is {shown(value)}: it must be {SECTION}.')
    allowed = cause.allowed if isinstance(cause, Wrong) else words(kind)
    is_missing = value is None and isinstance(kind, FieldInfo) and kind.is_required()
    state = 'missing' if is_missing else shown(value)
    whose = '' if where is None else f'{_joined(where, *names[:-1])} option '
    return OptionError(f'{whose}{names[-1]} is {state}: it must be {allowed}.')


def _joined(*names: Any) -> str:
    return '.'.join(str(name) for name in names if name) or 'top-level'


def _option_at(place: tuple, model: type[Section], options: Any) -> tuple[list[Any], Any, Any]:
    """The names that lead to an option, its type and its value.

    pydantic's ``place`` can go further, into lists and unions; that part is ignored.
    """
    names: list[Any] = []
    kind: Any = model
    value = options
    for name in place:
        part = _part(_bare(kind), name)
        if part is None or not isinstance(value, Mapping):
            break
        has_default = isinstance(part, FieldInfo) and not part.is_required()
        value = value.get(name, part.get_default(call_default_factory=True) if has_default else None)
        names, kind = [*names, name], part
    return names, kind, value


def _part(kind: Any, name: Any) -> Any:
    """The type of one option of a section; None for a type without options."""
    if get_origin(kind) is dict:
        return get_args(kind)[1]
    return kind.model_fields.get(name) if _is_section(kind) else None


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _bare(kind: Any) -> Any:
    """A type without its annotations."""
    if isinstance(kind, FieldInfo):
        return _bare(kind.annotation)
    return _bare(get_args(kind)[0]) if get_origin(kind) is Annotated else kind


def _notes(kind: Any) -> Iterator[Any]:
    """Yield a type's annotations."""
    if isinstance(kind, FieldInfo):
        yield from kind.metadata
        yield from _notes(kind.annotation)
    elif get_origin(kind) is Annotated:
        for note in kind.__metadata__:
            yield from note.metadata if isinstance(note, FieldInfo) else [note]


def words(kind: Any) -> str:
    """Words for what a value of a type must be, such as 'a whole number from 1 to 9'."""
    *others, last = _choices(kind)
    return f'{", ".join(others)} or {last}' if others else last


def _choices(kind: Any) -> Iterator[str]:
    bare, notes = _bare(kind), list(_notes(kind))
    said = [note.text for note in notes if isinstance(note, Said)]
    origin, parts = get_origin(bare), get_args(bare)
    if said:
        yield said[0]
    elif bare is bool:
        yield from ('true', 'false')
    elif origin is Literal:
        yield from map(repr, parts)
    elif origin in (Union, UnionType):
        for part in parts:
            yield from _choices(part)
    elif bare in (int, float):
        yield _number(bare, {end: getattr(note, end) for note in notes for end in ENDS if hasattr(note, end)})
    elif origin is tuple:
        yield f'a list, each of {words(parts[0])}'
    else:
        yield SECTION if origin is dict or _is_section(bare) else PLAIN.get(bare, 'anything')


def _number(kind: type, ends: Mapping[str, float]) -> str:
    low, high, below = (ends.get(end) for end in ('ge', 'le', 'lt'))
    if kind is int:
        bounds = f'of at least {low} (and below 2^31)' if high == LARGEST else f'from {low} to {high}'
        return f'a whole number {bounds}'
    top = f' to {high:g}' if high is not None else f' to below {below:g}' if below is not None else ''
    return f'a number {f"from {low:g}{top}" if top else f"of at least {low:g}"} (in YAML 1.0e-5, not 1e-5)'
