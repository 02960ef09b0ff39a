"""Tries to get out of the sandbox, and prints a line for each way that is open.

What it tries itself on lies in decoy.json: a file and sockets of the host, one of its processes.
"""

import ctypes
import errno
import json
import mmap
import os
import socket

with open("/in/decoy.json", encoding="utf-8") as file:
    DECOY = json.load(file)
OURS = ("HOME", "TMPDIR", "PATH", "LANG", "PWD", "MALLOC_ARENA_MAX")
NEW_USER = 0x10000000
ATTACH, NOBODY = 16, 0x7FFFFFFF


def environments():
    """Variables of whoever started the sandbox."""
    for process in filter(str.isdigit, os.listdir("/proc")):
        with open(f"/proc/{process}/environ", "rb") as file:
            for pair in filter(None, file.read().split(b"\0")):
                name = pair.split(b"=")[0].decode("utf-8", "replace")
                if name not in OURS and not name.startswith("PYTHON"):
                    return name
    return ""


def reading(path):
    with open(path, "rb") as file:
        return bool(file.read(1))


def writing(path):
    with open(path, "w"):
        return True


def connecting(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.settimeout(1)
        one.connect(address)
    return True


def opening(family, kind):
    socket.socket(family, kind).close()
    return True


def signalling(process):
    os.kill(process, 0)
    return True


def calling(number):
    """A system call that must be refused, not only fail; of ptrace these would be the arguments."""
    library = ctypes.CDLL(None, use_errno=True)
    done = library.syscall(number, ATTACH, NOBODY)
    return done >= 0 or ctypes.get_errno() != errno.EPERM


def nesting(number):
    """A user namespace of its own, tried by a child."""
    child = os.fork()
    if not child:
        os._exit(ctypes.CDLL(None).syscall(number, NEW_USER) == 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def sharing():
    mmap.mmap(-1, 4096).close()
    return True


def too_large(path, size):
    room = os.statvfs(path)
    return room.f_blocks * room.f_frsize > size


def forking(most):
    """More processes than are allowed."""
    reading_end, writing_end = os.pipe()
    children = []
    try:
        while len(children) <= most:
            child = os.fork()
            if not child:
                os.close(writing_end)
                os.read(reading_end, 1)
                os._exit(0)
            children.append(child)
        return True
    finally:
        os.close(writing_end)
        for child in children:
            os.waitpid(child, 0)


def attempt(name, attack, *arguments):
    try:
        found = attack(*arguments)
    except OSError:
        return
    if found:
        print(f"{name}: {found}" if isinstance(found, str) else name, flush=True)


attempt("reads the environment of another process", environments)
for path in DECOY["paths"]:
    attempt("reads files of the host", reading, path)
for path in ("/x", "/dev/x", "/in/x", "/usr/lib/x", "/usr/x", "/root/x", "/home/x"):
    attempt(f"writes {path}", writing, path)
attempt("reaches a TCP port", connecting, socket.AF_INET, ("127.0.0.1", DECOY["port"]))
attempt("opens a UDP socket", opening, socket.AF_INET, socket.SOCK_DGRAM)
attempt("opens a UDP socket", opening, socket.AF_INET6, socket.SOCK_DGRAM)
attempt("opens a netlink socket", opening, 16, socket.SOCK_RAW)
attempt("opens a VM socket", opening, 40, socket.SOCK_STREAM)
attempt("reaches an abstract socket", connecting, socket.AF_UNIX, "\0" + DECOY["abstract"])
attempt("reaches a Unix socket", connecting, socket.AF_UNIX, DECOY["socket"])
attempt("sees a process of the host", signalling, DECOY["process"])
attempt("holds a memory file", os.memfd_create, "x")
attempt("shares anonymous memory", sharing)
for name, number in DECOY["calls"].items():
    attempt(f"calls {name}", calling, number)
attempt("makes a user namespace", nesting, DECOY["unshare"])
for path, size in DECOY["folders"].items():
    attempt(f"{path} has no limit", too_large, path, size)
attempt("starts as many processes as it likes", forking, DECOY["processes"])
print("done")
