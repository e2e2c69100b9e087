from __future__ import annotations

import pickle

import pytest

from tbar_ray.errors import DataError, TbarError
from tbar_ray.redaction import redact, redact_all

SECRET = "s3cr3tS3cr3tS3cr3t99"

HOLDING = {
    "https://host/00.tar?sv=2022&se=2030-01-01&sp=r&sig=" + SECRET: "https://host/00.tar?***",
    "https://host/get?file=00.tar&token=" + SECRET: "https://host/get?file=00.tar&***",
    "https://host/00.tar?X-Amz-Algorithm=A&X-Amz-Date=1&X-Amz-Signature=" + SECRET: "https://host/00.tar?***",
    "https://host/00.tar?Expires=1&Signature=" + SECRET + "&Key-Pair-Id=K": "https://host/00.tar?***",
    "https://host/00.tar?key=" + SECRET: "https://host/00.tar?***",
    f"http://user:{SECRET}@host:5000/x": "http://***@host:5000/x",
    f"postgresql+psycopg2://user:p@{SECRET}@host/db": "postgresql+psycopg2://***@host/db",
    f"https://{SECRET}@github.com/x": "https://***@github.com/x",
    f"pipe:curl -s -H 'Authorization: Bearer {SECRET}' https://host/00.tar": (
        "pipe:curl -s -H 'Authorization: ***' https://host/00.tar"
    ),
    f"pipe:curl -u me:{SECRET} https://host/00.tar": "pipe:curl -u *** https://host/00.tar",
    f"pipe:AWS_SECRET_ACCESS_KEY={SECRET} aws s3 cp s3://b/00.tar -": (
        "pipe:AWS_SECRET_ACCESS_KEY=*** aws s3 cp s3://b/00.tar -"
    ),
    f"cannot look up 'https://host/a?sig={SECRET}': 403, url='https://host/a?sig={SECRET}'": (
        "cannot look up 'https://host/a?***': 403, url='https://host/a?***'"
    ),
}

PLAIN = [
    "https://host/get?file=00000.tar&key=00000.tar",
    "abfs://container@account.dfs.core.windows.net/00.tar",
    "s3://bucket/a@b/{00000..00331}.tar",
    "/data/odd [v2] {a,b}/x=1?y/00.tar",
    "pipe:cat /data/00.tar | gunzip -c",
    "sqlite:////home/me/mlflow.db",
    "what is α? write to a@b.org: x=1",
    "attacks.patch.target: 'token ring' is not a class",
]


@pytest.mark.parametrize(("text", "expected"), HOLDING.items())
def test_secrets_are_left_out_and_the_rest_stays(text: str, expected: str) -> None:
    assert redact(text) == expected
    assert redact(expected) == expected


@pytest.mark.parametrize("text", PLAIN)
def test_texts_without_secrets_stay_what_they_are(text: str) -> None:
    assert redact(text) == text


def test_a_new_signature_is_the_same_place() -> None:
    first, second = (f"https://host/00.tar?se={date}&sp=r&sig={sig}" for date, sig in (("2030", "A1"), ("2031", "B2")))
    assert redact(first) == redact(second)


def test_what_is_nested_is_redacted_too() -> None:
    url, hidden = "http://u:p@h/x", "http://***@h/x"
    assert redact_all({"a": [url, 1, None], url: ("b", url)}) == {"a": [hidden, 1, None], hidden: ("b", hidden)}


def test_errors_never_say_a_secret() -> None:
    error = DataError(f"cannot download https://host/00.tar?sig={SECRET}")
    assert str(error) == "cannot download https://host/00.tar?***"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert TbarError("a", 3).args == ("a", 3)
