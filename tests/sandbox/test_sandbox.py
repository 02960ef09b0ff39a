"""Attacks on the sandbox, each with the defence that stops it; run as root and as a plain user."""

import concurrent.futures
import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest

import dataenv.sandbox as sandbox
from dataenv.config import ProgramLimits
from dataenv.errors import (
    DiskFull,
    MemoryLimit,
    OutputLimit,
    ProcessLimit,
    SandboxUnavailable,
    TimeLimit,
)
from dataenv.sandbox import check, launch
from dataenv.sandbox.watch import Watch

KEY = "sk-do-not-tell"


def play(source, seed=0, answer=dict, **limits):
    """What comes of a program."""
    return sandbox.run(source, {}, ProgramLimits(**{"seconds": 30, **limits}), answer, seed=seed)


def printed(source, **options):
    """What a program prints that must end well."""
    done = play(source, **options)
    assert (done.refused, done.stopped, done.code) == ("", None, 0), done
    return done.output.decode()


@pytest.fixture
def open_folder():
    """A folder on the host that everybody may read."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def blind(monkeypatch):
    """Takes the eyes off a program."""
    monkeypatch.setattr(Watch, "_look", lambda self: None)


def unfiltered(monkeypatch):
    monkeypatch.setattr(launch, "filtered", lambda seccomp: [])


def without(*words):
    """Takes arguments away from those that make namespaces."""

    def patch(monkeypatch):
        kept = [word for word in launch.namespaces() if word not in words]
        apart = ["--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--unshare-pid"]
        if "--unshare-all" in words:
            kept = [*apart, *kept]
        monkeypatch.setattr(launch, "namespaces", lambda: kept)

    return patch


def both(*patches):
    return lambda monkeypatch: [patch(monkeypatch) for patch in patches]


def more_of_the_host(monkeypatch):
    shown = [*launch.system(), *("--ro-bind", "/etc", "/etc", "--ro-bind", "/var/tmp", "/var/tmp")]
    monkeypatch.setattr(launch, "system", lambda: shown)
    monkeypatch.setattr(tempfile, "tempdir", "/var/tmp")


def dirty_launch(monkeypatch):
    environment = {"TEACHER_API_KEY": KEY, "PATH": os.environ["PATH"]}
    monkeypatch.setattr(launch, "LAUNCH_ENVIRONMENT", environment)


def unsized(monkeypatch):
    monkeypatch.setattr(launch, "sized", lambda size: ())


def open_root(monkeypatch):
    monkeypatch.setattr(launch, "read_only", lambda: [])


def countless(monkeypatch):
    original = launch.rlimits

    def patched(limits, isolated):
        return {k: v for k, v in original(limits, isolated).items() if k != "RLIMIT_NPROC"}

    monkeypatch.setattr(launch, "rlimits", patched)


TAKEN_AWAY = {
    "an empty environment at launch": (dirty_launch, "reads the environment"),
    "an allow-list of files": (more_of_the_host, "reads files of the host"),
    "sockets out of sight": (more_of_the_host, "reaches a Unix socket"),
    "a network of its own": (
        both(without("--unshare-all"), unfiltered),
        "reaches a TCP port",
    ),
    "no abstract sockets": (without("--unshare-all"), "reaches an abstract socket"),
    "no UDP": (unfiltered, "opens a UDP socket"),
    "a root that is read-only": (open_root, "writes /x"),
    "a /dev that is read-only": (open_root, "writes /dev/x"),
    "sized folders": (unsized, "/ws has no limit"),
    "the filter, io_uring": (unfiltered, "calls io_uring_setup"),
    "the filter, ptrace": (unfiltered, "calls ptrace"),
    "the filter, memory files": (unfiltered, "holds a memory file"),
    "the filter, shared memory": (unfiltered, "shares anonymous memory"),
    "no namespaces within": (both(without("--disable-userns"), unfiltered), "makes a user"),
    "a limit on processes": (both(countless, blind), "starts as many processes"),
}


def test_no_attack_of_the_self_test_gets_through():
    assert check._attack() == [] and check.sandbox_problem() is None


@pytest.mark.parametrize("name", TAKEN_AWAY)
def test_the_self_test_misses_every_defence_that_is_taken_away(name, monkeypatch):
    patch, way = TAKEN_AWAY[name]
    patch(monkeypatch)
    assert any(line.startswith(way) for line in check._attack())


def test_a_key_of_ours_stands_nowhere_in_proc(monkeypatch):
    monkeypatch.setenv("TEACHER_API_KEY", KEY)
    source = f"""
import glob, os
print("TEACHER_API_KEY" in os.environ)
for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
    print({KEY[::-1]!r}[::-1] in open(path, errors="replace").read())
"""
    assert set(printed(source).split()) == {"False"}
    dirty_launch(monkeypatch)
    assert "True" in printed(source)


WALK = """
import os, sys
canary, place = {canary!r}[::-1], {place!r}
hits = []
def look(path):
    try:
        if os.path.isfile(path) and canary in open(path, errors="replace").read(200):
            hits.append(path)
    except OSError:
        pass
look(place)
if not hits:
    for folder, folders, names in os.walk("/"):
        if folder == "/":
            folders[:] = [n for n in folders if n not in ("proc", "in", "lib")]
        for name in names:
            if not name.endswith((".so", ".a", ".py", ".pyc")):
                look(os.path.join(folder, name))
print(len(hits))
print([line.split()[4] for line in open("/proc/self/mountinfo")])
"""


def test_a_walk_over_all_files_finds_nothing_of_ours(open_folder, monkeypatch):
    canary = "canary-in-a-coal-mine"
    place = open_folder / "private.jsonl"
    place.write_text(canary)
    place.chmod(0o644)
    source = WALK.format(canary=canary[::-1], place=str(place))
    hits, mounts = printed(source).splitlines()
    assert hits == "0"
    known = ("/", "/in", "/ws", "/tmp", "/dev", "/proc", "/usr/lib", "/lib", sys.base_prefix)
    assert all(mount.startswith(known) for mount in eval(mounts))
    more_of_the_host(monkeypatch)
    assert printed(source).splitlines()[0] == "1"


def test_installed_packages_are_out_of_sight():
    source = f"""
import glob
print(glob.glob({sys.base_prefix!r} + "/lib/python3*/*-packages/*"))
print(glob.glob("/usr/lib/python3*/*-packages/*"), glob.glob("/usr/local/*"))
"""
    assert printed(source) == "[]\n[] []\n"


def test_the_broker_answers_and_nothing_else_does():
    source = """
import socket
from workbench import _call
print(_call({"ask": [1, 2]}))
for kind in (socket.AF_INET, socket.AF_INET6, 16, 17, 40):
    try:
        socket.socket(kind, socket.SOCK_DGRAM)
        print("open")
    except OSError as error:
        print(error.errno)
try:
    print(socket.getaddrinfo("example.org", 80))
except OSError:
    print("nobody")
"""
    heard = []

    def answer(message):
        heard.append(message)
        return {"told": len(message["ask"])}

    said = printed(source, answer=answer).splitlines()
    assert said == ["{'told': 2}", *["1"] * 5, "nobody"] and heard == [{"ask": [1, 2]}]


def test_nothing_is_written_outside(open_folder):
    source = f"""
import os
for path in ({str(open_folder / "x")!r}, "/x", "/usr/lib/x", "/in/../x", "/ws/../../x", "/in/task"):
    try:
        open(path, "w")
        print("written", path)
    except OSError as error:
        print(type(error).__name__)
open("/ws/here", "w").write("fine")
os.makedirs("/tmp/a/b")
"""
    assert not [line for line in printed(source).split() if line == "written"]
    assert list(open_folder.iterdir()) == []


BOMB = """
import os, time
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(0.01)
"""
FAN = """
import os, time
for _ in range({n}):
    if not os.fork():
        held = bytearray(b"x") * ({mb} << 20)
        time.sleep(1.5)
        os._exit(0)
for _ in range({n}):
    os.wait()
print("held it all")
"""
FILL = """
n = 0
while True:
    try:
        open(f"{folder}/{{n}}", "wb").write(b"x" * 4096)
        n += 1
    except OSError as error:
        pass
"""
HONEST = "import time\ntime.sleep(2)\nprint('fine')"


def test_processes_memory_and_files_are_limited_each_in_its_own_program():
    cases = [(BOMB, ProcessLimit), (FAN.format(n=8, mb=256), MemoryLimit)]
    cases += [(FILL.format(folder="/ws"), DiskFull), (HONEST, type(None))]
    ended, peak = together(
        [source for source, _ in cases], memory_mb=256, workspace_mb=16, processes=32
    )
    assert [type(each.stopped) for each in ended] == [wanted for _, wanted in cases]
    assert ended[3].output == b"fine\n" and all(each.seconds < 20 for each in ended)
    assert peak < (4 * 256 + 400) << 20  # the fan alone would hold 2,048 MB


def together(sources, **limits):
    """What comes of programs that run at the same time, and the most that they hold in memory."""
    others = set(psutil.Process().children(recursive=True))
    with concurrent.futures.ThreadPoolExecutor(len(sources)) as threads:
        running = [threads.submit(play, source, **limits) for source in sources]
        peak = 0
        while not all(each.done() for each in running):
            ours = set(psutil.Process().children(recursive=True)) - others
            peak = max(peak, sum(map(_held, ours)))
            time.sleep(0.05)
    return [each.result() for each in running], peak


def _held(process):
    try:
        return process.memory_full_info().pss
    except psutil.Error:
        return 0


def test_a_bomb_in_three_programs_at_once_hits_each_ones_own_limit():
    source = """
import os, time
n = 0
try:
    while n < 60:
        if not os.fork():
            time.sleep(2)
            os._exit(0)
        n += 1
except OSError:
    pass
print(n)
"""
    with concurrent.futures.ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda _: printed(source, processes=64), range(3)))
    assert found == ["60\n"] * 3
    assert isinstance(play(BOMB, processes=8).stopped, ProcessLimit)


@pytest.mark.parametrize(
    "source, limits, wanted, patches",
    [
        (FAN.format(n=8, mb=64), {"memory_mb": 256}, MemoryLimit, [blind]),
        ("import time; time.sleep(2)", {"seconds": 0.8}, TimeLimit, [blind]),
        (
            "for n in range(55_000): open(f'/tmp/{n}', 'w')\nimport time; time.sleep(0.5)",
            {},
            DiskFull,
            [blind],
        ),
    ],
    ids=["memory", "time", "files"],
)
def test_a_limit_stops_what_goes_on_without_it(source, limits, wanted, patches, monkeypatch):
    began = time.monotonic()
    done = play(source, **limits)
    assert isinstance(done.stopped, wanted) and time.monotonic() - began < 5
    for patch in patches:
        patch(monkeypatch)
    assert play(source, **limits).stopped is None


@pytest.mark.slow
def test_eight_processes_of_256_mb_are_stopped_at_one_gigabyte():
    (done,), peak = together([FAN.format(n=8, mb=256)])
    assert isinstance(done.stopped, MemoryLimit) and peak < 1.3 * (1 << 30)


def test_endless_output_is_cut_and_held_nowhere(monkeypatch):
    before = psutil.Process().memory_info().rss
    for stream in ("out", "err"):
        done = play(f"import sys\nwhile True: sys.std{stream}.write('x' * 65536)", output_mb=2)
        assert isinstance(done.stopped, OutputLimit) and len(done.output) <= 2 << 20
        assert len(done.errors) <= 64 << 10
    assert psutil.Process().memory_info().rss - before < 40 << 20
    monkeypatch.setattr(Watch, "_count", lambda self, new: None)
    assert play("print('x' * 4_000_000)", output_mb=2).stopped is None


SEED = 1000 * os.getpid()
"""By which a process's programs are known; others may run these tests at the same time."""
DAEMON = """
import os, sys, time
if not os.fork():
    os.setsid()
    if not os.fork():
        for n in range(3):
            os.close(n)
        time.sleep(60)
    os._exit(0)
time.sleep({seconds})
"""


def survivors(seed):
    """Processes whose command has the seed."""
    found = []
    for process in psutil.process_iter():
        try:
            if f'"seed": {seed}' in " ".join(process.cmdline()) and process.pid != os.getpid():
                found.append(process)
        except psutil.Error:
            pass
    return found


def gone(seed):
    """Whether there are none of them, within a second."""
    ends = time.monotonic() + 1
    while survivors(seed) and time.monotonic() < ends:
        time.sleep(0.02)
    return not survivors(seed)


def test_a_daemon_does_not_survive_its_program():
    assert play(DAEMON.format(seconds=0.3), seed=SEED).code == 0
    assert gone(SEED)


@pytest.mark.parametrize("patch", [None, without("--die-with-parent")], ids=["", "off"])
def test_nothing_survives_a_killed_environment(patch):
    seed = SEED + 1 + bool(patch)
    words = [word for word in launch.namespaces() if not patch or word != "--die-with-parent"]
    script = f"""
import dataenv.sandbox as sandbox
from dataenv.config import ProgramLimits
from dataenv.sandbox import launch
launch.namespaces = lambda: {words!r}
sandbox.run({DAEMON.format(seconds=60)!r}, {{}}, ProgramLimits(), dict, seed={seed})
"""
    with subprocess.Popen([sys.executable, "-c", script]) as one:
        try:
            ends = time.monotonic() + 20
            while len(survivors(seed)) < 4 and time.monotonic() < ends:
                time.sleep(0.05)
            assert len(survivors(seed)) >= 4  # bubblewrap twice, the program, its daemon
        finally:
            one.send_signal(signal.SIGKILL)
    assert gone(seed) is not bool(patch)
    for each in survivors(seed):
        with contextlib.suppress(psutil.Error):  # the first takes the others along
            each.kill()


def test_who_ignores_sigterm_ends_at_the_limit_all_the_same():
    source = """
import signal, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
    signal.signal(number, signal.SIG_IGN)
time.sleep(60)
"""
    done = play(source, seconds=1.5)
    assert isinstance(done.stopped, TimeLimit) and 1.4 < done.seconds < 3.5


def test_processes_of_the_host_cannot_be_signalled(monkeypatch):
    source = f"""
import os
for process in ({os.getpid()}, {os.getppid()}):
    try:
        os.kill(process, 0)
        print("seen")
    except OSError as error:
        print(type(error).__name__)
os.kill(-1, 0) if len(os.listdir("/proc")) == 0 else None
"""
    assert set(printed(source).split()) == {"ProcessLookupError"}


FILES = {
    "a symlink": "os.symlink({canary!r}, '/ws/submission.json')",
    "a FIFO": "os.mkfifo('/ws/submission.json')",
    "a folder": "os.mkdir('/ws/submission.json')",
    "a device": "os.symlink('/dev/random', '/ws/submission.json')",
    "a large file": "open('/ws/submission.json', 'wb').truncate(60 << 20)",
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_a_program_are_never_opened(name, open_folder):
    (open_folder / "private").write_text("canary")
    source = "import os\n" + FILES[name].format(canary=str(open_folder / "private"))
    before = set(Path(tempfile.gettempdir()).glob("dataenv-*"))
    began = time.monotonic()
    done = play(source + "\nprint('{}')")
    assert (done.output, done.errors, done.code) == (b"{}\n", "", 0)
    assert time.monotonic() - began < 1.5
    assert set(Path(tempfile.gettempdir()).glob("dataenv-*")) <= before


def test_the_material_is_read_only_and_out_of_others_sight(monkeypatch):
    modes = []
    original = launch.command

    def spying(bwrap, scratch, *rest):
        modes.append(stat.S_IMODE(scratch.path.stat().st_mode))
        return original(bwrap, scratch, *rest)

    monkeypatch.setattr(launch, "command", spying)
    assert "Read-only" in play("open('/in/program.py', 'w')").errors
    assert modes == [0o700]


def test_a_program_that_does_not_compile_cannot_pretend_and_one_that_does_cannot_either():
    assert "SyntaxError" in play("def f(:\n  pass").refused
    assert play("x = " + "(" * 5000).refused
    assert play("import os; os.write(3, b'SyntaxError'); os.write(4, b'no')").refused == ""
    assert play("import os; os._exit(7)").code == 7
    assert play("raise SystemExit(3)").code == 3
    assert play("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)").code == 128 + 11


def test_a_traceback_shows_the_program_and_nothing_of_ours():
    errors = play("def f(x):\n    return 1 / x\n\nf(0)").errors
    assert "return 1 / x" in errors and "ZeroDivisionError" in errors and "start.py" not in errors


def test_hashes_and_draws_are_the_same_every_time():
    source = "import random\nprint(list({'a', 'b', 'c', 'd'}), random.random())"
    assert printed(source, seed=5) == printed(source, seed=5) != printed(source, seed=6)


def test_what_the_answer_raises_ends_the_program_and_is_raised():
    def answer(message):
        raise RuntimeError("the teacher is down")

    source = "from workbench import calls_left\ncalls_left()\n"
    with pytest.raises(RuntimeError, match="down"):
        play(source, answer=answer, seed=SEED + 3)
    assert gone(SEED + 3)


def test_odd_messages_are_answered_or_cut_off():
    source = """
import socket
def say(data):
    door = socket.socket(socket.AF_UNIX)
    door.connect("/in/broker.sock")
    try:
        door.sendall(data)
        return door.recv(100)
    except OSError:
        return b"cut off"
print(say(b"[1]\\n"), say(b"{" * 100_000 + b"\\n"), say(b"x" * (9 << 20)), say(b"{}\\n"))
"""
    said = printed(source, answer=lambda message: {"ok": 1})
    assert said.count("no JSON object") == 2 and said.endswith("b'{\"ok\": 1}\\n'\n")


def test_without_bubblewrap_nothing_runs_and_the_way_out_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    check.sandbox_problem.cache_clear()
    try:
        assert "apt-get install bubblewrap" in check.sandbox_problem().hint
        with pytest.raises(SandboxUnavailable, match="bubblewrap is missing"):
            check.require_sandbox()
        with pytest.raises(SandboxUnavailable, match="bubblewrap"):
            play("print(1)")
    finally:
        check.sandbox_problem.cache_clear()


def test_a_host_without_namespaces_is_told_what_to_set():
    script = (
        "from dataenv.sandbox.check import sandbox_problem; print(repr(str(sandbox_problem())))"
    )
    host = ["bwrap", "--bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    host += ["--unshare-user", "--disable-userns", "--uid", "1000"]
    done = subprocess.run(
        [*host, sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert "could not be started" in done.stdout, done.stderr
    assert "user.max_user_namespaces" in done.stdout


def test_an_old_bubblewrap_and_a_foreign_machine_are_named(tmp_path, monkeypatch):
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho bubblewrap 0.4.1\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SandboxUnavailable, match=r"bubblewrap 0.4.1 is too old. Install 0.8"):
        check._have_parts()
    monkeypatch.setattr(check.platform, "machine", lambda: "riscv64")
    with pytest.raises(SandboxUnavailable, match="riscv64"):
        check._have_parts()


def test_a_listener_of_the_host_hears_nothing(open_folder):
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(1.0)

        def listen():
            with contextlib.suppress(TimeoutError):
                heard.append(server.accept())

        thread = threading.Thread(target=listen)
        thread.start()
        source = (
            f"import socket\nsocket.create_connection(('127.0.0.1', {server.getsockname()[1]}))"
        )
        assert play(source).code == 1
        thread.join()
    assert heard == []


@pytest.mark.skipif(os.geteuid() != 0, reason="this is the run as a plain user")
def test_all_of_this_as_a_plain_user(open_folder):
    """The same file again as nobody, who sees our files through mounts of his own."""
    root = Path(__file__).parents[2]
    sites = [path for path in sys.path if path.endswith("-packages")]
    mounts = dict(zip(("repo", "python"), (str(root), sys.base_prefix), strict=True))
    mounts |= {f"site{n}": path for n, path in enumerate(sites)}
    for name in mounts:
        (open_folder / name).mkdir()
    binds = [f"mount --bind '{path}' {open_folder}/{name}" for name, path in mounts.items()]
    paths = ":".join(f"{open_folder}/{name}" for name in mounts if name != "python")
    python = f"{open_folder}/python/bin/{Path(sys.executable).resolve().name}"
    test = f"tests/sandbox/{Path(__file__).name}"
    command = (
        f"cd {open_folder}/repo && PYTHONPATH={paths} PYTHONDONTWRITEBYTECODE=1 HOME=/nowhere "
        f"exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all {python} "
        f"-m pytest -vv -p no:cacheprovider --noconftest -m 'not slow' {test}"
    )
    done = subprocess.run(
        [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-ec",
            "\n".join([*binds, command]),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "1 skipped" in done.stdout, done.stdout + done.stderr
