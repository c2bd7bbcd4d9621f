"""YAML files: read with bounds on their size, without keys that are there twice."""

import re
from pathlib import Path
from typing import Any

import yaml

from dtao_gym.world.config_errors import ConfigError, cut

MAX_BYTES = 1_000_000
"""Largest file that is read."""
MAX_VALUES = 100_000
"""Largest number of values of a file, each counted as often as aliases name it."""

_FLOAT = re.compile(r"[-+]?(\d[\d_]*(\.\d*)?|\.\d+)[eE][-+]?\d+$")


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses keys that are there twice, and reads `1e-3` as a number as YAML 1.2 does."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        """Content of a mapping."""
        seen = set()
        for key, _ in node.value:
            known = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else None
            if known in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {cut(key.value)!r} is there twice",
                    problem_mark=key.start_mark,
                )
            if known is not None:
                seen.add(known)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def read_yaml(path: Path, aliases: bool = True) -> Any:
    """Content of a YAML file.

    Parameters
    ----------
    path : Path
        A regular file of at most `MAX_BYTES`.
    aliases : bool
        Whether the file may name a value (`&name`) and use it again (`*name`).

    Raises
    ------
    ConfigError
        For a file that cannot be read, is too large, has a key twice in one mapping, or an alias where none is allowed.
    """
    try:
        text = _text(path)
        if not aliases and any(isinstance(e, yaml.AliasEvent) for e in yaml.parse(text, _Loader)):
            raise ConfigError(f"{path}: got an alias (*name), allowed are plain values")
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            if _count(node, {}) > MAX_VALUES:
                raise ConfigError(
                    f"{path}: got more than {MAX_VALUES} values, aliases counted, allowed are up to that"
                )
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except ConfigError:
        raise
    except FileNotFoundError:
        raise ConfigError(f"{path}: is missing") from None
    except (OSError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise _unreadable(path, error) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> ConfigError:
    reason = cut(" ".join(str(error).split()), 400)
    return ConfigError(f"{path}: cannot be read as YAML: {reason}")


def _text(path: Path) -> str:
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "no regular file"
        raise ConfigError(f"{path}: cannot be read as YAML: got {kind}, allowed is a file")
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: got more than {MAX_BYTES} bytes, allowed are up to that")
    return content.decode("utf-8")


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """Number of values below a node, those of aliases counted at each; ValueError for a value that holds itself."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = -1  # while it is counted
        pairs = isinstance(node, yaml.MappingNode)
        parts = [part for pair in node.value for part in pair] if pairs else node.value
        known[id(node)] = 1 + sum(_count(part, known) for part in parts)
    elif known[id(node)] < 0:
        raise ValueError("got a value that holds itself")
    return known[id(node)]
