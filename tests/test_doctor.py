"""dataenv doctor: real servers, folders and caches, whole and broken; nothing outside is asked."""

import json
import shutil
import socket
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from huggingface_hub import constants
from transformers import LlamaConfig, LlamaForCausalLM

from dataenv.cli import main
from dataenv.config import DecodingConfig, EndpointConfig, TrainingConfig
from dataenv.doctor import examine, machine, servers, sources
from dataenv.presets import EnvConfig
from dataenv.sandbox.check import sandbox_problem
from dataenv.serve import serving
from dataenv.students.adapter import with_adapter
from dataenv.students.memory import Shape, activations, needs_of
from dataenv.students.placement import Placement
from dataenv.tasks.benchmarks import DATA_VARIABLE

LORA = TrainingConfig(lora_rank=8)


class Answers(ThreadingHTTPServer):
    """Gives fixed answers by method and path: (status, headers, body)."""

    daemon_threads = True

    def __init__(self, answers):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers, self.asked = answers, []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self, method="GET"):
        size = int(self.headers.get("content-length") or 0)
        asked = f"{method} {self.path.split('?')[0]}"
        self.server.asked.append((asked, self.rfile.read(size).decode()))
        nothing = (404, {}, {"error": {"message": "Not Found"}})
        status, headers, body = self.server.answers.get(asked, nothing)
        text = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        self.do_GET("POST")

    def log_message(self, *args):
        pass


def serves(*models):
    return {"GET /v1/models": (200, {}, {"object": "list", "data": [{"id": m} for m in models]})}


def refuses_adapter(status, message):
    return {"POST /v1/load_lora_adapter": (status, {}, {"error": {"message": message}})}


# -- teachers ---------------------------------------------------------------------------------------


def at(url, model="m", **fields):
    return EnvConfig(teacher="openai", endpoint=EndpointConfig(model=model, base_url=url, **fields))


def test_a_teacher_that_is_served_is_found_and_asked_only_if_wanted(procedural_server):
    config = at(procedural_server.url, "procedural-science")
    found = servers.teacher(config)
    assert found.ok and "procedural-science at" in found.detail
    assert procedural_server.completions == 0
    assert servers.teacher(config, ask=True).detail.endswith("; answers")
    assert procedural_server.completions == 1


def test_a_teacher_under_another_name_is_named(procedural_server):
    found = servers.teacher(at(procedural_server.url, "qwen"))
    assert found.ok is False and "serves procedural-science, not qwen" in found.detail
    assert "endpoint.model" in found.fix


@pytest.mark.parametrize(
    "answers, ok, detail",
    [
        ({"GET /v1/models": (401, {}, {"error": {"message": "no such key"}})}, False, "HTTP 401"),
        ({"GET /v1/models": (200, {}, "<html>")}, False, "no completion"),
        ({}, None, "does not list its models"),
    ],
)
def test_a_server_that_is_none_is_seen(answers, ok, detail):
    with serving(Answers(answers)) as server:
        found = servers.teacher(at(server.url + "/v1"))
    assert found.ok is ok and detail in found.detail and found.fix


def test_a_teacher_that_lists_itself_but_fails_is_found_by_asking():
    failing = {"POST /v1/chat/completions": (500, {}, {"error": {"message": "out of memory"}})}
    with serving(Answers({**serves("m"), **failing})) as server:
        assert servers.teacher(at(server.url + "/v1")).ok
        found = servers.teacher(at(server.url + "/v1"), ask=True)
    assert found.ok is False and "out of memory" in found.detail


def test_nobody_there_and_nobody_answering_are_quick():
    assert servers.teacher(at("http://127.0.0.1:9/v1")).ok is False
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = servers.teacher(at(f"http://127.0.0.1:{silent.getsockname()[1]}/v1"))
    assert found.ok is False and "no reply" in found.detail and time.monotonic() - began < 10


def test_a_teacher_without_a_name_and_a_tape_that_is_not_there(tmp_path):
    assert "set endpoint.model" in servers.teacher(at("http://127.0.0.1:9/v1", "")).detail
    tape = tmp_path / "tape"
    config = EnvConfig(teacher="openai", tape=str(tape), tape_mode="replay")
    assert servers.teacher(config).ok is False
    tape.write_text("")
    assert servers.teacher(config).ok and servers.keys(config).ok


@pytest.mark.parametrize(
    "url, ok", [("", False), ("http://10.0.0.9/v1", None), ("http://localhost:8000/v1", True)]
)
def test_keys_are_missed_where_they_are_needed(url, ok, monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    found = servers.keys(at(url, api_key_env="MY_KEY"))
    assert found.ok is ok and ("$MY_KEY" in found.fix) == (ok is not True)
    monkeypatch.setenv("MY_KEY", "secret")
    found = servers.keys(at(url, api_key_env="MY_KEY"))
    assert found.ok and "secret" not in str(found)


# -- the student's server ---------------------------------------------------------------------------


def student_at(url, training=LORA):
    endpoint = EndpointConfig(model="llama", base_url=url + "/v1")
    return EnvConfig(student_endpoint=endpoint, training=training)


@pytest.mark.parametrize(
    "answers, ok, words",
    [
        (refuses_adapter(404, f"No adapter found for /{servers.NOWHERE}"), True, "loads adapters"),
        (refuses_adapter(400, f"cannot load {servers.NOWHERE}"), True, "loads adapters"),
        ({}, False, "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"),
        (refuses_adapter(404, "Not Found"), False, "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"),
        (refuses_adapter(500, "LoRA is not enabled"), False, "--enable-lora"),
        ({"POST /v1/load_lora_adapter": (200, {}, "Success")}, False, "does not exist"),
    ],
    ids=["404 of vLLM", "400", "no route", "no route, in JSON", "no LoRA", "says yes to all"],
)
def test_a_server_without_adapters_at_run_time_is_seen(answers, ok, words):
    with serving(Answers({**serves("llama"), **answers})) as server:
        found = servers.student(student_at(server.url))
    assert found.ok is ok and words in found.detail + found.fix
    path, body = server.asked[-1]
    assert path == "POST /v1/load_lora_adapter" and json.loads(body)["lora_path"]


def test_a_server_of_another_student_or_a_training_without_adapters_is_seen():
    with serving(Answers(serves("other"))) as server:
        assert "serves other, not llama" in servers.student(student_at(server.url)).detail
        found = servers.student(student_at(server.url, TrainingConfig()))
    assert found.ok is False and "training.lora_rank" in found.fix


# -- weights ----------------------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub on loopback, an empty cache; `answers` is what the hub says."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with serving(Answers({})) as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        yield server


def model_info(**more):
    files = [
        {"rfilename": name, "size": 4 * 10**9} for name in ("a.safetensors", "o/b.safetensors")
    ]
    return (200, {}, {"id": "some/model", "gated": False, "siblings": files, **more})


def test_a_checkpoint_folder_is_whole_or_its_gaps_are_named(tiny_path, tmp_path):
    found = sources.student_weights(EnvConfig(student=str(tiny_path)))
    assert found.finding.ok and found.folder == tiny_path
    broken = tmp_path / "broken"
    shutil.copytree(tiny_path, broken)
    (broken / "model.safetensors").unlink()
    shards = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (broken / "model.safetensors.index.json").write_text(json.dumps(shards))
    (broken / "one.safetensors").touch()
    found = sources.student_weights(EnvConfig(student=str(broken)))
    assert found.folder is None and found.finding.detail.endswith("lacks two.safetensors")


def test_a_model_in_the_hubs_cache_needs_no_hub(hub, tiny_path, tmp_path):
    kept = tmp_path / "hub" / "models--some--model"
    shutil.copytree(tiny_path, kept / "snapshots" / "abc")
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("abc")
    found = sources.student_weights(EnvConfig(student="some/model"))
    assert found.finding.ok and found.folder == kept / "snapshots" / "abc" and not hub.asked
    (found.folder / "model.safetensors").unlink()  # cut off in the middle
    hub.answers["GET /api/models/some/model"] = model_info()
    found = sources.student_weights(EnvConfig(student="some/model"))
    assert found.folder is None and found.download == 4 * 10**9


@pytest.mark.parametrize(
    "answers, ok, words",
    [
        ({"": model_info()}, True, "4.0 GB to download"),
        (
            {"": model_info(gated="manual"), "/auth-check": (200, {}, {})},
            True,
            "4.0 GB to download",
        ),
        (
            {
                "": model_info(gated="manual"),
                "/auth-check": (403, {"x-error-code": "GatedRepo"}, {}),
            },
            False,
            "set $HF_TOKEN",
        ),
        ({"": (404, {"x-error-code": "RepoNotFound"}, {})}, False, "check the name"),
        ({"": (500, {}, {})}, False, "the hub cannot be reached"),
    ],
    ids=["open", "gated, accepted", "gated", "unknown", "down"],
)
def test_what_the_hub_says_of_a_model(hub, answers, ok, words):
    hub.answers |= {f"GET /api/models/some/model{path}": a for path, a in answers.items()}
    found = sources.student_weights(EnvConfig(student="some/model")).finding
    assert found.ok is ok and words in found.detail + found.fix


def test_offline_means_offline_and_says_so(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    found = sources.student_weights(EnvConfig(student="some/model")).finding
    assert found.ok is False and "unset HF_HUB_OFFLINE" in found.fix and not hub.asked


def test_a_hub_that_never_answers_is_given_up_soon(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        found = sources.student_weights(EnvConfig(student="some/model")).finding
        assert found.ok is False and time.monotonic() - began < 8


def test_names_that_nothing_goes_by_are_corrected(hub):
    assert (
        "Did you mean 'nano-a'"
        in sources.student_weights(EnvConfig(student="nano_a")).finding.detail
    )
    found = sources.student_weights(EnvConfig(student="/no/such/folder")).finding
    assert found.ok is False and "no id of the hub" in found.detail and not hub.asked


# -- data -------------------------------------------------------------------------------------------


def benchmark(**fields):
    sizes = {"public": 100, "private": 100, "seeds": 0, "pool": 0, "reward": 0}
    return EnvConfig(domain="cruxeval", teacher="openai", **{**sizes, **fields})


@pytest.fixture
def crux(tmp_path, monkeypatch):
    """A folder of a small CRUXEval."""
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    file = tmp_path / "cruxeval" / "cruxeval.jsonl"
    file.parent.mkdir()
    rows = [
        {
            "code": f"def f(x):\n    return x + {n}",
            "input": "1",
            "output": str(n + 1),
            "id": f"s{n}",
        }
        for n in range(40)
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


def test_a_benchmark_is_counted_and_what_differs_is_said(crux):
    found = sources.data(benchmark())
    assert "10 public, 30 private, 0 seeds" in found.detail
    assert found.ok is None and "is not the one that published splits" in found.detail
    found = sources.data(benchmark(seeds=1000))
    assert found.ok is None and "seed.jsonl" in found.fix
    crux.write_text("{")
    assert sources.data(benchmark()).ok is False


def test_a_benchmark_that_is_not_here_is_looked_for_on_the_hub(hub, monkeypatch, tmp_path):
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    found = sources.data(benchmark())
    assert found.ok is False and f"${DATA_VARIABLE}/cruxeval" in found.fix
    name = "cruxeval-org/cruxeval"
    hub.answers[f"GET /api/datasets/{name}"] = (200, {}, {"id": name})
    assert "fetched when it is first read" in sources.data(benchmark()).detail
    (tmp_path / "hub" / "datasets--cruxeval-org--cruxeval").mkdir(parents=True)
    assert "in the hub's cache" in sources.data(benchmark()).detail


# -- the machine ------------------------------------------------------------------------------------


@pytest.fixture
def checkpoint(tmp_path):
    """(folder, model) of a small Llama with grouped keys."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=500, **sizes, **heads))
    model.save_pretrained(tmp_path)
    return str(tmp_path), model


@pytest.mark.parametrize("rank", [0, 8])
def test_the_estimate_of_activations_bounds_what_autograd_keeps(checkpoint, rank):
    folder, model = checkpoint
    config = EnvConfig(training=TrainingConfig(batch_size=2, max_tokens=96, lora_rank=rank))
    estimate = activations(Shape.of(folder), 4, config)
    weights = {each.untyped_storage().data_ptr() for each in model.parameters()}
    model = with_adapter(model, config.training, folder) if rank else model
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = 0 if storage.data_ptr() in weights else storage.nbytes()
        return tensor

    ids = torch.randint(0, 500, (2, 96))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
    assert loss.isfinite() and sum(kept.values()) < estimate < 2 * sum(kept.values())


def test_parts_checkpointing_adapters_and_servers_save_memory(checkpoint):
    shape = Shape.of(checkpoint[0])

    def needed(device="cpu", dtype=torch.float32, served="", prompts=4, **training):
        endpoint = EndpointConfig(model="m", base_url=served)
        config = EnvConfig(
            training=TrainingConfig(**training),
            decoding=DecodingConfig(batch_size=prompts),
            student_endpoint=endpoint,
        )
        return needs_of(shape, Placement(device, dtype, "sdpa", shape.parameters), config)

    whole = needed()
    assert needed(micro_batch=1).ram < whole.ram and needed(checkpointing=True).ram < whole.ram
    assert needed(lora_rank=4).ram < whole.ram and whole.gpu == 0
    thrifty = {"lora_rank": 4, "micro_batch": 1, "checkpointing": True}
    half = needed("cuda", torch.bfloat16, **thrifty)
    assert half.ram == 2 * 2 * shape.parameters  # the base, and the checkpoint as it is read
    many = needed("cuda", torch.bfloat16, prompts=999, **thrifty)
    served = needed("cuda", torch.bfloat16, "http://127.0.0.1/v1", prompts=999, **thrifty)
    assert half.gpu == served.gpu < many.gpu


def test_a_student_that_does_not_fit_is_seen_with_ways_out(tiny_path, monkeypatch):
    huge = TrainingConfig(batch_size=10**7, max_tokens=2048)
    config = EnvConfig(student=str(tiny_path), training=huge)
    found = machine.memory(config, sources.student_weights(config))
    assert found[0].name == "memory" and found[0].ok is False
    assert "training.micro_batch=1" in found[0].fix


def test_what_a_machine_lacks_is_named(tmp_path):
    many = EnvConfig(threads=999, training=TrainingConfig(backend="trl", processes=99))
    assert machine.threads(many).ok is None and machine.gpus(many).ok is not True
    assert machine.gpus(EnvConfig(device="cuda:98", training=many.training)).ok is False
    assert machine.packages(EnvConfig(attention="flash_attention_2")).fix
    room = sources.Weights(sources.Finding("weights", True, ""), download=10**18)
    full = machine.disk(EnvConfig(), room, tmp_path / "not" / "there")
    assert full.ok is False and "HF_HOME" in full.fix
    assert machine.disk(EnvConfig(), sources.Weights(room.finding), tmp_path).ok


# -- the command ------------------------------------------------------------------------------------


def test_all_is_well_with_the_default(capsys):
    findings = examine(EnvConfig())
    assert all(each.ok for each in findings if each.name != "packages")
    assert main(["doctor", "--task", "Science-fast-v0"]) == 0
    printed = capsys.readouterr().out
    assert all(each.name in printed for each in findings) and "missing" not in printed


def test_what_is_missing_is_a_table_json_and_an_exit_code(tmp_path, capsys):
    path = tmp_path / "own.yaml"
    path.write_text("task: Science-fast-v0\nteacher: openai\nendpoint: {model: m}\n")
    nobody = ["--set", "endpoint.base_url=http://127.0.0.1:9/v1"]
    assert main(["doctor", str(path), *nobody]) == 1
    (line,) = [each for each in capsys.readouterr().out.splitlines() if "missing" in each]
    assert line.split()[1] == "teacher" and "connection failed" in line
    assert main(["doctor", str(path), *nobody, "--json"]) == 1
    found = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert found["teacher"]["ok"] is False and found["weights"]["ok"] is True
    assert found["teacher"]["fix"] == "start it, or set endpoint.base_url"


def test_a_wrong_configuration_is_a_message_as_everywhere(capsys):
    assert main(["doctor", "--task", "Sience-v0"]) == 2
    assert "Did you mean" in capsys.readouterr().err


def test_the_sandbox_is_tried_and_what_is_missing_is_named(monkeypatch):
    assert machine.sandbox(EnvConfig()).ok
    assert machine.sandbox(EnvConfig(unsafe_no_sandbox=True)).mark == "warning"
    monkeypatch.setenv("PATH", "/nowhere")
    sandbox_problem.cache_clear()
    try:
        found = machine.sandbox(EnvConfig())
    finally:
        sandbox_problem.cache_clear()
    assert (found.ok, "bubblewrap is missing" in found.detail) == (None, True)
    assert "apt-get install bubblewrap" in found.fix
