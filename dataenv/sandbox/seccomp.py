"""The system calls that a program may not make, as a filter for the kernel: classic BPF, assembled here.

Everything is allowed but what is listed. The list is long where a call opens a way out (sockets that
are no Unix sockets, mounts, other processes) or holds memory that no limit sees (System V and
anonymous shared memory, memory files).
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass

AF_UNIX = 1
SHARED_ANONYMOUS = 0x21
"""MAP_SHARED and MAP_ANONYMOUS: pages of nobody once they are out of a process's tables."""
NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET."""

_EVERYWHERE = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "clone3": 435,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "memfd_secret": 447,
}
"""Numbers that are the same on every architecture."""


@dataclass(frozen=True)
class Architecture:
    """A processor, to the kernel.

    Args:
        audit: Its number in ``struct seccomp_data``.
        calls: Numbers of the system calls of concern, by name.
        foreign_from: Numbers from here on belong to another convention; 0: there is none.
    """

    audit: int
    calls: dict[str, int]
    foreign_from: int = 0


_NAMES = [
    "mmap",
    "socket",
    "socketpair",
    "clone",
    "ptrace",
    "syslog",
    "shmget",
    "msgget",
    "semget",
    "mq_open",
    "pivot_root",
    "chroot",
    "acct",
    "mount",
    "umount2",
    "swapon",
    "swapoff",
    "reboot",
    "init_module",
    "finit_module",
    "delete_module",
    "quotactl",
    "lookup_dcookie",
    "kexec_load",
    "kexec_file_load",
    "add_key",
    "request_key",
    "keyctl",
    "migrate_pages",
    "move_pages",
    "unshare",
    "setns",
    "perf_event_open",
    "fanotify_init",
    "name_to_handle_at",
    "open_by_handle_at",
    "clock_adjtime",
    "process_vm_readv",
    "process_vm_writev",
    "kcmp",
    "memfd_create",
    "bpf",
    "userfaultfd",
]
_X86_64 = (
    *(9, 41, 53, 56, 101, 103, 29, 68, 64, 240, 155, 161, 163),
    *(165, 166, 167, 168, 169, 175, 313, 176, 179),
    *(212, 246, 320, 248, 249, 250, 256, 279),
    *(272, 308, 298, 300, 303, 304, 305),
    *(310, 311, 312, 319, 321, 323),
)
_AARCH64 = (
    *(222, 198, 199, 220, 117, 116, 194, 186, 190, 180, 41, 51, 89),
    *(40, 39, 224, 225, 142, 105, 273, 106, 60),
    *(18, 104, 294, 217, 218, 219, 238, 239),
    *(97, 268, 241, 262, 264, 265, 266),
    *(270, 271, 272, 279, 280, 282),
)
ARCHITECTURES = {
    "x86_64": Architecture(
        0xC000003E,
        {**dict(zip(_NAMES, _X86_64, strict=True)), "iopl": 172, "ioperm": 173, **_EVERYWHERE},
        foreign_from=0x40000000,
    ),
    "aarch64": Architecture(
        0xC00000B7, {**dict(zip(_NAMES, _AARCH64, strict=True)), **_EVERYWHERE}
    ),
}
"""By what `platform.machine` says."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE = 0, 4
_REFUSE = _ERROR | errno.EPERM


def seccomp_filter(machine: str) -> bytes:
    """The filter for an architecture of `ARCHITECTURES`."""
    architecture = ARCHITECTURES[machine]
    calls = dict(architecture.calls)
    program = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUAL, architecture.audit, 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER),
    ]
    if architecture.foreign_from:
        program += [_step(_AT_LEAST, architecture.foreign_from, 0, 1), _step(_RETURN, _KILL)]
    for name in ("socket", "socketpair"):
        program += _when(calls.pop(name), 0, [_step(_EQUAL, AF_UNIX, 1, 0)])
    program += _when(calls.pop("clone"), 0, [_step(_ANY_BIT, NEW_NAMESPACES, 0, 1)])
    shared = [_step(_AND, SHARED_ANONYMOUS), _step(_EQUAL, SHARED_ANONYMOUS, 0, 1)]
    program += _when(calls.pop("mmap"), 3, shared)
    # its flags lie in memory, where no filter can look; the C library then takes clone instead
    program += [
        _step(_EQUAL, calls.pop("clone3"), 0, 1),
        _step(_RETURN, _ERROR | errno.ENOSYS),
    ]
    for number in calls.values():
        program += [_step(_EQUAL, number, 0, 1), _step(_RETURN, _REFUSE)]
    return b"".join([*program, _step(_RETURN, _ALLOW)])


def _when(number: int, argument: int, test: list[bytes]) -> list[bytes]:
    """Refuses a call whose argument fails a test, which jumps over one step if all is well."""
    body = [
        _step(_LOAD, 16 + 8 * argument),  # its lower half, on little-endian machines
        *test,
        _step(_RETURN, _REFUSE),
        _step(_RETURN, _ALLOW),
    ]
    return [_step(_EQUAL, number, 0, len(body)), *body]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
