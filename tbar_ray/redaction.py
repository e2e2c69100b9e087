"""Secrets in URLs and commands are left out of all that is printed, recorded or fingerprinted."""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "***"

_USER = re.compile(r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]*://)(?P<user>[^/\s?#'\"<>]+)@")
_QUERY = re.compile(r"(?P<start>[?&])(?P<query>[\w.~%+-]+=[^\s'\"<>|)\],;]*)")
_HEADER = re.compile(
    r"(?i)(?P<name>\b(?:authorization|x-api-key|x-auth-token|private-token|cookie)\s*[:=]\s*)[^'\"\n]+"
)
_ASSIGNED = re.compile(r"(?i)(?P<name>(?<![?&\w])\w*(?:secret|token|passw(?:or)?d|api_?key|access_?key)\w*=)[^\s'\"&]+")
_OPTION = re.compile(r"(?P<name>(?<!\S)(?:(?:-u|--user)[ =](?=\S+:)|(?:--password|--token)[ =]))\S+")

_SECRET = re.compile(
    r"(?i)^(sig|signature|.*token.*|.*secret.*|.*passw(or)?d.*|pwd|pass|auth|.*api[-_]?key|.*access[-_]?key(id)?|"
    r"credentials?|x-(amz|goog)-.*|key-pair-id)$"
)
"""Parameters of a query that are secrets, or part of a signature."""
_SIGNED = re.compile(
    r"(?i)(sv|ss|srt|sp|se|st|spr|sr|sip|sdd|si|scid|ses|skoid|sktid|skt|ske|sks|skv|saoid|suoid|expires|policy|"
    r"googleaccessid)"
)
"""Parameters that say what a signature is for: they change whenever it is made anew."""
_RANDOM = re.compile(r"[A-Za-z0-9_-]{20,}")
"""What a `key=` looks like that is no file's name."""


def redact(text: str) -> str:
    """A text without the secrets that URLs and commands in it hold; what is left out is `***`.

    Left out are user and password before a host, the signed or secret parameters of a query (`?sig=`,
    `X-Amz-Signature`, tokens, with the dates that they are signed for), authorisation headers, and assignments to
    variables such as AWS_SECRET_ACCESS_KEY. A text that holds none is returned as it is.
    """
    if "@" in text:
        text = _USER.sub(_without_user, text)
    if "=" in text:
        text = _QUERY.sub(_without_signature, text)
        text = _ASSIGNED.sub(_hidden, text)
    return _OPTION.sub(_hidden, _HEADER.sub(_hidden, text))


def redact_all(value: Any) -> Any:
    """Lists and mappings with every text in them redacted, keys included; any other value as it is."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact_all(key): redact_all(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(redact_all(item) for item in value)
    return value


def _hidden(found: re.Match[str]) -> str:
    return f"{found['name']}{HIDDEN}"


def _without_user(found: re.Match[str]) -> str:
    """Hide user and password; a lone name is a secret on the web, and a container in Azure's `abfs://NAME@ACCOUNT`."""
    scheme, user = found["scheme"], found["user"]
    return f"{scheme}{HIDDEN}@" if ":" in user or scheme.startswith("http") else found[0]


def _without_signature(found: re.Match[str]) -> str:
    """Hide secret parameters, and with them all that belongs to the signature."""
    parameters = found["query"].split("&")
    secret = [parameter for parameter in parameters if _is_secret(*parameter.partition("=")[::2])]
    if not secret:
        return found[0]
    kept = [p for p in parameters if p not in secret and not _SIGNED.fullmatch(p.partition("=")[0])]
    return found["start"] + "&".join([*kept, HIDDEN])


def _is_secret(name: str, value: str) -> bool:
    return bool(_SECRET.match(name)) or (name.lower() == "key" and bool(_RANDOM.fullmatch(value)))
