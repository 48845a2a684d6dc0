"""Scripts, the first VoTT-train's plugins; with real programs."""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.http_server import Answer, HttpServer
from vott_trainer.__main__ import main
from vott_trainer.errors import InterruptedTrainingError, UsageError
from vott_trainer.parameters import validate
from vott_trainer.plugin_api import Links
from vott_trainer.plugins import sandbox
from vott_trainer.plugins.script import Script, ScriptError
from vott_trainer.plugins.script_environment import TRAINER_PREFIXES
from vott_trainer.process.sigterm import Interruption
from vott_trainer.progress.progress import Progress
from vott_trainer.training_run import TrainingRun

TOKEN = "SECRET0123456789"
LINKS = Links("https://store/a.csv?sig=SECRET", "https://store/models/1.tgz?sig=SECRET", "https://callback/?sig=SECRET")
Write = Callable[[str], Script]


@pytest.fixture
def script(tmp_path: Path) -> Write:
    """Write a program and return its plugin."""

    def write(text: str) -> Script:
        path = tmp_path / "plugins/old/plugin.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return Script(path)

    return write


def run(
    plugin: Script, folder: Path, *, links: Links = LINKS, parameters: dict[str, object] | None = None
) -> TrainingRun:
    """Run a script until it ends."""
    training = TrainingRun(links, folder / "work", Progress())
    plugin.train(training, validate(plugin.parameters, parameters or {}))  # type: ignore[arg-type]
    return training


def failure(plugin: Script, folder: Path) -> ScriptError:
    with pytest.raises(ScriptError) as error:
        run(plugin, folder)
    return error.value


def test_script_gets_the_urls_and_an_empty_working_directory(script: Write, tmp_path: Path) -> None:
    output = tmp_path / "output.json"
    plugin = script(f"import json, os, sys\njson.dump([sys.argv[1:], os.listdir()], open({str(output)!r}, 'w'))\n")
    run(plugin, tmp_path)
    arguments, files = json.loads(output.read_text())
    assert arguments == ["--annotations", LINKS.annotations, "--model", LINKS.model, "--status", LINKS.status]
    assert files == []


def test_without_a_callback_there_is_no_status_argument(script: Write, tmp_path: Path) -> None:
    plugin = script("import sys\nassert '--status' not in sys.argv, sys.argv\n")
    run(plugin, tmp_path, links=Links(LINKS.annotations, LINKS.model, None))


def test_parameters_are_json_in_the_environment(script: Write, tmp_path: Path) -> None:
    text = "import json, os\nassert json.loads(os.environ['VOTT_PARAMETERS']) == {'epochs': 3, 'net': {'depth': 2}}\n"
    run(script(text), tmp_path, parameters={"epochs": 3, "net": {"depth": 2}})


def test_trainer_s_variables_are_removed(script: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = ["AZURE_STORAGE_CONNECTION_STRING", "AZURE_SERVICE_BUS_CONNECTION_STRING", "AZURE_FEDERATED_TOKEN_FILE"]
    own += ["AWS_SECRET_ACCESS_KEY", "IDENTITY_HEADER", "MSI_SECRET", "VOTT_CHECKPOINTS"]
    for name in (*own, "KUBERNETES_SERVICE_HOST", "TRAININGJOB_UID", "VOTT_WEIGHTS", "WANDB_API_KEY"):
        monkeypatch.setenv(name, TOKEN)
    output = tmp_path / "output.json"
    run(script(f"import json, os\njson.dump([*os.environ], open({str(output)!r}, 'w'))\n"), tmp_path)
    names = set(json.loads(output.read_text()))
    assert {"PATH", "VOTT_PARAMETERS", "VOTT_WEIGHTS", "WANDB_API_KEY"} <= names
    assert {name for name in names if name.startswith(TRAINER_PREFIXES)} == {"VOTT_PARAMETERS", "VOTT_WEIGHTS"}


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pod's token, where Kubernetes would mount it."""
    (tmp_path / "credentials").mkdir()
    monkeypatch.setattr(sandbox, "CREDENTIAL_FOLDERS", (tmp_path / "credentials",))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # where the tests find the trainer
    (path := tmp_path / "credentials/token").write_text(TOKEN)
    return path


def test_script_and_its_child_processes_can_t_read_the_pod_s_token(script: Write, token: Path, tmp_path: Path) -> None:
    text = (
        "import subprocess, sys\n"
        f"subprocess.run(['cat', {str(token)!r}], stderr=sys.stderr)\n"
        f"print(open({str(token)!r}).read(), file=sys.stderr)\n"
    )
    error = failure(script(text), tmp_path)
    assert "cat: " in str(error)
    assert "PermissionError" in str(error)
    assert TOKEN not in str(error)


def test_script_can_t_write_to_the_image_cache(script: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache/links").mkdir(parents=True)
    monkeypatch.setenv("VOTT_IMAGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    error = failure(script(f"open({str(tmp_path / 'cache/links/forged')!r}, 'w')"), tmp_path)
    assert "PermissionError" in str(error)
    assert not list((tmp_path / "cache/links").iterdir())


@pytest.mark.usefixtures("token")
def test_sandbox_keeps_process_group_exit_code_and_modules(script: Write, tmp_path: Path) -> None:
    (tmp_path / "plugins/old").mkdir(parents=True)
    (tmp_path / "plugins/old/beside.py").write_text("")
    text = "import beside, os, sys\nassert sys.argv[1] == '--annotations' and os.getpgid(0) == os.getpid()\n"
    text += "assert os.listdir() == [] and sys.stdin.read() == ''\n"
    assert failure(script(text + "raise SystemExit(65)"), tmp_path).exit_code == 65


def test_script_does_not_start_if_the_token_can_t_be_denied(
    server: HttpServer, script: Write, token: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert token.exists()
    monkeypatch.setattr(sandbox, "_CREATE_RULESET", 9999)  # no such system call
    ran = tmp_path / "ran"
    assert command(server, script(f"open({str(ran)!r}, 'w')\n"), monkeypatch, tmp_path / "log") == 64
    termination = json.loads((tmp_path / "log").read_text())
    assert termination["reason"] == "BrokenPlugin"
    assert "Train on other nodes" in termination["message"]
    assert not ran.exists()


@pytest.mark.parametrize("safe_path", ["", "1"])
def test_modules_beside_the_script_are_found(
    safe_path: str, script: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONSAFEPATH", safe_path)  # as the image may set it for the trainer
    plugin = script("import beside\n")
    (tmp_path / "plugins/old/beside.py").write_text("")
    run(plugin, tmp_path)


def test_error_quotes_the_last_lines_of_standard_error(script: Write, tmp_path: Path) -> None:
    text = "import sys\nfor n in range(100): print('line', n, file=sys.stderr)\nraise ValueError('no such layer')\n"
    error = failure(script(text), tmp_path)
    assert "exited with code 1" in str(error)
    assert str(error).endswith("ValueError: no such layer")
    assert "line 99" in str(error)
    assert "line 50\n" not in str(error)
    assert error.exit_code == 70


def test_output_is_logged_without_secrets(script: Write, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = "import sys\nprint('reading', sys.argv[2])\nprint('writing', sys.argv[4], file=sys.stderr)\nsys.exit(1)\n"
    error = failure(script(text), tmp_path)
    out, err = capfd.readouterr()
    assert "reading https://store/a.csv\n" in out
    assert "writing https://store/models/1.tgz\n" in err
    assert "SECRET" not in out + err + str(error)


def test_long_lines_show_no_secret(script: Write, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = "import sys\nprint('x' * 9_980, sys.argv[4], 'y' * 3_000_000, sys.argv[4])\nprint('next')\n"
    run(script(text), tmp_path)
    long, following = [line for line in capfd.readouterr().out.splitlines() if "plugin.py" not in line]
    assert "SECRET" not in long
    assert len(long) < 11_000
    assert following == "next"


def test_credential_without_its_url_is_redacted(
    server: HttpServer,
    script: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    text = (
        "import sys\nquery = sys.argv[4].split('?')[1]\nprint('got', query)\nsys.exit('token ' + query.split('=')[1])\n"
    )
    assert command(server, script(text), monkeypatch, tmp_path / "log") == 70
    termination = json.loads((tmp_path / "log").read_text())
    out, err = capfd.readouterr()
    assert TOKEN not in out + err + termination["message"]
    assert "got ***\n" in out
    assert termination["message"].endswith("token ***")


@pytest.mark.parametrize(("code", "expected"), [(2, 70), (64, 64), (65, 65), (66, 66), (73, 73), (75, 70), (143, 70)])
def test_only_permanent_exit_codes_are_kept(code: int, expected: int, script: Write, tmp_path: Path) -> None:
    assert failure(script(f"raise SystemExit({code})"), tmp_path).exit_code == expected


def test_error_names_the_signal_that_killed_the_script(script: Write, tmp_path: Path) -> None:
    error = failure(script("import os\nos.kill(os.getpid(), 9)\n"), tmp_path)
    assert "was killed by SIGKILL, usually because memory ran out" in str(error)
    assert error.exit_code == 128 + signal.SIGKILL


def test_binary_output_is_replaced(script: Write, tmp_path: Path) -> None:
    text = "import sys\nsys.stderr.buffer.write(b'\\xff\\xfe' * 50_000)\nsys.stderr.flush()\nsys.exit(1)\n"
    assert "�" in str(failure(script(text), tmp_path))


def test_sigterm_is_forwarded_and_the_script_may_finish(script: Write, tmp_path: Path) -> None:
    saved, ready = tmp_path / "saved", tmp_path / "ready"
    plugin = script(
        "import pathlib, signal, sys\n"
        f"def save(*_): pathlib.Path({str(saved)!r}).write_text('all'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, save)\n"
        f"open({str(ready)!r}, 'w').close()\n"
        "while True: signal.pause()\n"
    )
    ended: list[int] = []
    interruption = Interruption(leave=ended.append)
    training = TrainingRun(LINKS, tmp_path / "work", Progress(), interruption=interruption)

    def interrupt() -> None:
        ready.read_bytes()  # waits until the script opens the pipe
        interruption.request()

    os.mkfifo(ready)
    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(InterruptedTrainingError):
        plugin.train(training, validate(plugin.parameters, {}))  # type: ignore[arg-type]
    assert saved.read_text() == "all"
    assert ended == []  # the trainer continued


def test_script_does_not_predict(script: Write, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"plugin\.py can use its model"):
        script("").predict(tmp_path, tmp_path)


UPLOADING = """
import argparse, json, urllib.request
parser = argparse.ArgumentParser()
for name in ("--annotations", "--model", "--status"):
    parser.add_argument(name)
urls = parser.parse_args()
def send(url, data, method):
    urllib.request.urlopen(urllib.request.Request(url, data, method=method)).close()
send(urls.status, json.dumps({"progress": 0.5}).encode(), "POST")
send(urls.model, b"the model", "PUT")
"""


def command(server: HttpServer, script: Script, monkeypatch: pytest.MonkeyPatch, log: Path) -> int:
    """Run the trainer as the operator does; return its exit code."""
    monkeypatch.setenv("VOTT_PLUGINS", str(script._path.parents[1]))
    log.touch()
    urls = {"annotations": "/a.csv", "model": f"/1.tgz?X-Amz-Signature={TOKEN}", "status": "/callback?sig=SECRET"}
    arguments = [text for name, path in urls.items() for text in (f"--{name}", server.url + path)]
    return main(["--plugin", "old", *arguments], log)


def test_uploaded_model_is_verified(
    server: HttpServer, script: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test's server stores nothing; the model that it serves stands for the uploaded one."""
    server.serve("/1.tgz", b"the model")
    assert command(server, script(UPLOADING), monkeypatch, tmp_path / "log") == 0
    (put,) = [request for request in server.requests if request.method == "PUT"]
    assert (put.path, put.body) == ("/1.tgz", b"the model")
    progress, outcome = server.bodies("/callback")
    assert progress == {"progress": 0.5}
    assert outcome["state"] == "succeeded"


def test_log_says_that_it_is_a_script_and_where_its_model_must_be(
    server: HttpServer,
    script: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    command(server, script("print('begun')"), monkeypatch, tmp_path / "log")
    before, begun, _ = capfd.readouterr().out.partition("begun")
    assert begun
    assert f"this plugin uploads its model itself, to {server.url}/1.tgz" in before
    assert "plugin.py defines no class Plugin, so it is run as a script" in before


def test_script_that_uploads_nothing_fails(
    server: HttpServer, script: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command(server, script(""), monkeypatch, tmp_path / "log") == 73
    termination = json.loads((tmp_path / "log").read_text())
    assert termination["reason"] == "UploadRefused"
    assert f"left no model at {server.url}/1.tgz. A container or bucket has to hold model.tgz" in termination["message"]
    assert "SECRET" not in termination["message"]


def test_existing_model_does_not_count_as_uploaded(
    server: HttpServer, script: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.always["/1.tgz"] = Answer(200, b"old", {"ETag": '"1"', "Last-Modified": "Mon, 01 Jun 2026 00:00:00 GMT"})
    assert command(server, script(""), monkeypatch, tmp_path / "log") == 73
    termination = json.loads((tmp_path / "log").read_text())
    assert f"did not replace the model at {server.url}/1.tgz" in termination["message"]


def test_identical_model_that_was_written_again_counts(
    server: HttpServer, script: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers["/1.tgz"] = [Answer(200, b"same", {"ETag": '"1"'})]
    server.always["/1.tgz"] = Answer(200, b"same", {"ETag": '"2"'})
    assert command(server, script(""), monkeypatch, tmp_path / "log") == 0


def test_failed_script_s_error_reaches_callback_and_operator(
    server: HttpServer, script: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "import sys\nsys.exit('the layer ' + sys.argv[-1] + ' is not there')\n"
    assert command(server, script(text), monkeypatch, tmp_path / "log") == 70
    termination = json.loads((tmp_path / "log").read_text())
    (outcome,) = server.bodies("/callback")
    assert outcome["state"] == "failed"
    assert termination["message"] == outcome["message"]
    assert f"the layer {server.url}/*** is not there" in termination["message"]
