"""A secret in a URL or in the environment is in nothing that a campaign says or writes."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.synth import write_corpus, write_evaluation_set
from tests.campaign.tiny import end_of, start, write_tiny

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]

SECRET = "s3cr3tS3cr3tS3cr3t99"
OF_ENVIRONMENT = ("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "HF_TOKEN")


class Signed(SimpleHTTPRequestHandler):
    """Serves a folder to who knows the secret."""

    def do_GET(self) -> None:
        if SECRET in self.path:
            super().do_GET()
        else:
            self.send_error(403)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@pytest.mark.parametrize("trains", [True, False], ids=["read", "refused"])
def test_a_secret_is_in_nothing_that_a_campaign_says_or_writes(
    tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch, trains: bool
) -> None:
    for name in OF_ENVIRONMENT:
        monkeypatch.setenv(name, f"{SECRET}-{name}")
    sets, home = tmp_path / "sets", tmp_path / "home"
    write_corpus(sets / "train", WritingOptions(size=64, samples_per_shard=48, workers=1), samples=96)
    write_evaluation_set(sets / "eval", WritingOptions(size=64, samples_per_shard=200, workers=1), per_class=2)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Signed, directory=str(sets))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        query = f"?se=1&sig={SECRET}" if trains else f"?token={SECRET[::-1]}"
        place = f"http://127.0.0.1:{server.server_port}/train/{{00000..00001}}.tar{query}"
        spec = write_tiny(tmp_path, [8], data={"train": place, "evaluation": str(sets / "eval")})
        running = start(spec, home, mark)
        shown = end_of(running)
        server.shutdown()
    assert (running.returncode == 0) is trains, shown
    hidden = SECRET if trains else SECRET[::-1]
    assert hidden in spec.read_text()
    assert hidden not in shown
    files = [file for file in home.rglob("*") if file.is_file()]
    assert any(file.name == "results.json" for file in files) is trains
    secrets = {hidden.encode(), SECRET.encode()}
    assert [str(file) for file in files if any(secret in file.read_bytes() for secret in secrets)] == []
    assert not any(SECRET in file.name or hidden in file.name for file in files)
