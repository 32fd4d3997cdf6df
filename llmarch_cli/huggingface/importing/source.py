"""Read a config from a config.json, a checkpoint directory, or a model on the Hugging Face Hub."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmarch_cli.errors import InputError, shown, shown_path
from llmarch_cli.huggingface.checked_json import parse
from llmarch_cli.specs import documents
from llmarch_cli.specs.loading import CONFIG_FILE as FILE
from llmarch_cli.specs.loading import exists, is_on_hub

CONNECTION_TIMEOUT = 5  # seconds

PARAMS = "params.json"  # in the place of a config.json in some repositories


@dataclass(frozen=True)
class Source:
    """The contents of a config file.

    Attributes:
        data: keys and values.
        origin: the name of the file in errors.
        name: the name of the model, from the directory or the Hub.
        url: the address of a config from the Hub.
    """

    data: Mapping[str, Any]
    origin: str
    name: str | None
    url: str | None = None


def read(config: str | Path | Mapping[str, Any] | Source, revision: str | None = None) -> Source:
    """Read the config of a path, a directory or a Hub id; a mapping and a source are returned as they are.

    Raises InputError if there is no config, it is too large, or it is not a JSON object.
    """
    if isinstance(config, Source):
        return config
    if isinstance(config, Mapping):
        return Source(config, "config", None)
    path = Path(config)
    if isinstance(config, str) and is_on_hub(config):
        return _from_hub(config, revision)
    if revision is not None:
        raise InputError(f"--revision needs a model on the Hub; {shown_path(config)} is a path")
    if path.suffix == ".gguf":
        raise InputError(f"{shown_path(path)}: a GGUF file; `llmarch show FILE --spec` prints the spec of its metadata")
    if exists(path, Path.is_dir):
        if not exists(path / FILE) and not exists(path / PARAMS):
            raise InputError(f"{shown_path(path)}: a directory without a {FILE}")
        path = path / (FILE if exists(path / FILE) else PARAMS)
    name = path.resolve().parent.name if path.name in (FILE, PARAMS) else path.stem
    if path == documents.STANDARD_INPUT:
        name = "stdin"
    return Source(_parsed(path, shown_path(path)), shown_path(path), name)


def _parsed(path: Path, origin: str) -> dict[str, Any]:
    text = documents.content(path, "config", documents.MAX_CONFIG_BYTES)
    if not text.strip():
        raise InputError(f"{origin}: the file is empty; a config is a JSON object")
    return parse(text, origin)


def _is_reachable() -> bool:
    """Whether the Hub accepts connections. Without this question, its client would retry for 24 seconds."""
    from urllib.parse import urlsplit
    from urllib.request import getproxies

    from huggingface_hub import constants

    address = urlsplit(constants.ENDPOINT)
    if constants.HF_HUB_OFFLINE or getproxies():  # a proxy may reach it
        return True
    try:
        with socket.create_connection((address.hostname, address.port or 443), CONNECTION_TIMEOUT):
            return True
    except OSError:
        return False


def _from_hub(model: str, revision: str | None) -> Source:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    where = f"{model} on the Hugging Face Hub"
    at = "" if revision is None else f" at revision {shown(revision)}"
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)  # it logs each retry
        offline = not _is_reachable()
        name = FILE
        try:
            file = hf_hub_download(model, name, revision=revision, local_files_only=offline)
        except RemoteEntryNotFoundError:
            name = PARAMS
            file = hf_hub_download(model, name, revision=revision, local_files_only=offline)
    except GatedRepoError:
        raise InputError(
            f"{where}: gated; accept its terms on the Hub, then set HF_TOKEN or run `hf auth login`"
        ) from None
    except RepositoryNotFoundError:
        raise InputError(
            f"{model}: no such file, and no such public model on the Hugging Face Hub; private ones need HF_TOKEN"
        ) from None
    except RevisionNotFoundError:
        raise InputError(f"{where}: no revision {shown(revision)}") from None
    except LocalEntryNotFoundError:
        raise InputError(
            f"{model}: no such file, not in the Hugging Face cache{at}, and the Hub is unreachable"
            " (or HF_HUB_OFFLINE is set)"
        ) from None
    except EntryNotFoundError:
        raise InputError(f"{where}: no {FILE}{at}") from None
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"{where}: cannot be read: {reason[0][:200]}") from None
    finally:
        logger.setLevel(level)
    url = f"https://huggingface.co/{model}/blob/{revision or 'main'}/{name}"
    return Source(_parsed(Path(file), model), model, model.split("/")[1], url)
