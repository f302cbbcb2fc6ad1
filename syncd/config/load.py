"""The configuration file: TOML, by default below the XDG configuration directory, checked whole.

A file with several faults names them all at once, each with the nearest key that is known.
Secrets stand in it only as references to a variable, a file or a credential.
"""

from __future__ import annotations

import tomllib

from syncd.config.overlap import overlaps
from syncd.config.parts import Config
from syncd.config.places import Places
from syncd.config.reader import Reader
from syncd.errors import ConfigError


def load(where: Places) -> Config:
    """Read the configuration, or the defaults where there is none. Raises ConfigError."""
    file = where.config_file
    try:
        text = file.read_text()
    except FileNotFoundError:
        if where.named is not None:
            raise ConfigError("there is no such file", path=str(file)) from None
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", path=str(file)) from error
    return parsed(text, where)


def parsed(text: str, where: Places) -> Config:
    """What the text of a configuration says; ConfigError tells all of its faults at once."""
    file = where.config_file
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"is not TOML: {error}", path=str(file)) from error
    reader = Reader()
    config = reader.config(found)
    problems = [*reader.problems, *overlaps(config, where)]
    if problems:
        raise ConfigError("; ".join(problems), path=str(file))
    return config
