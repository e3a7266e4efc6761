"""Fields that are read on first use and then kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

_Value = TypeVar("_Value")


class cached_property(Generic[_Value]):  # it stands for functools.cached_property
    """What :func:`functools.cached_property` is, for objects that refuse to be changed.

    It takes no lock, which that of Python 3.11 does at each first use: the readers of this room are
    pure, so that two threads that come at the same time find the same.
    """

    def __init__(self, read: Callable[[Any], _Value]) -> None:
        self._read = read
        self._name = read.__name__
        self.__doc__ = read.__doc__

    @overload
    def __get__(self, owner: None, kind: type[Any]) -> cached_property[_Value]: ...

    @overload
    def __get__(self, owner: object, kind: type[Any] | None = None) -> _Value: ...

    def __get__(
        self, owner: object | None, kind: type[Any] | None = None
    ) -> _Value | cached_property[_Value]:
        if owner is None:
            return self
        value = self._read(owner)
        owner.__dict__[self._name] = value
        return value
