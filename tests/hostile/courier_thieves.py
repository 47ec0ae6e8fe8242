"""Ideas of a courier that looks around on the machine: files, memory, sockets, other processes.

What the system must refuse is tried inside ``catch.refused()`` or ``catch.read``, which count it.
"""

import ctypes
import os
import re
import resource
import signal
import socket
import stat
from contextlib import suppress
from pathlib import Path

from tests.hostile.couriers import Catch, Scene, attack

ATTACH, DETACH = 16, 17  # ptrace
MOST_MEMORY = 2**26  # bytes of another process that are worth a look, its heap first
KINDS = ("maps", "smaps", "environ", "auxv", "stack", "syscall", "io", "personality", "pagemap")


@attack(separate=True)
def reads_every_file_of_the_site(scene: Scene, catch: Catch) -> None:
    for folder, names, files in os.walk(scene.home.parent):
        catch.take(" ".join((folder, *names, *files)))
        for name in files:
            catch.read(Path(folder) / name)
    for name in ("identity.key", "ledger.key", "ledger.db", "features/features.key", "accepted"):
        catch.read(scene.home / "agent" / name)


@attack(separate=True)
def reads_the_agents_environment_and_maps(scene: Scene, catch: Catch) -> None:
    for kind in KINDS:
        catch.read(f"/proc/{scene.pid}/{kind}")
    for task in _listed(catch, f"/proc/{scene.pid}/task"):
        for kind in KINDS:
            catch.read(f"/proc/{scene.pid}/task/{task}/{kind}")


@attack(separate=True)
def reads_the_agents_memory(scene: Scene, catch: Catch) -> None:
    left = MOST_MEMORY
    with catch.refused(), open(f"/proc/{scene.pid}/maps") as maps:  # noqa: PTH123
        areas = [line for line in maps if line.split()[1].startswith("rw") and "/" not in line]
        for area in sorted(areas, key=lambda area: "[heap]" not in area):
            first, last = (int(end, 16) for end in area.split()[0].split("-"))
            with suppress(OSError), open(f"/proc/{scene.pid}/mem", "rb") as memory:  # noqa: PTH123
                memory.seek(first)
                catch.take(memory.read(min(left, last - first)))
            left -= last - first
            if left <= 0:
                break
    with catch.refused():
        _read_vm(scene.pid)


@attack(separate=True)
def reads_the_agents_open_files(scene: Scene, catch: Catch) -> None:
    for number in _listed(catch, f"/proc/{scene.pid}/fd") or [str(n) for n in range(64)]:
        catch.read(f"/proc/{scene.pid}/fd/{number}")
    for door in ("root", "cwd"):
        for path in ("agent/identity.key", str(scene.home).lstrip("/") + "/agent/ledger.key"):
            catch.read(f"/proc/{scene.pid}/{door}/{path}")


@attack(separate=True)
def reads_command_lines_and_what_everybody_may(scene: Scene, catch: Catch) -> None:
    for kind in ("cmdline", "comm", "status", "stat", "statm", "limits", "cgroup", "mountinfo"):
        with suppress(OSError):
            catch.take(Path(f"/proc/{scene.pid}/{kind}").read_bytes())
    catch.read(f"/proc/{scene.pid}/environ")


@attack(separate=True)
def traces_the_agent(scene: Scene, catch: Catch) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    with catch.refused():
        if libc.ptrace(ATTACH, scene.pid, None, None) != 0:
            raise OSError(ctypes.get_errno(), "no tracing")
        libc.ptrace(DETACH, scene.pid, None, None)
        catch.take("traced")


@attack(separate=True)
def ends_the_agent_and_hopes_for_a_core(scene: Scene, catch: Catch) -> None:
    for number in (signal.SIGQUIT, signal.SIGABRT, signal.SIGSEGV, signal.SIGSTOP, signal.SIGUSR1):
        with catch.refused():
            os.kill(scene.pid, number)
    with catch.refused():
        resource.prlimit(scene.pid, resource.RLIMIT_CORE, (2**30, 2**30))
    with catch.refused():
        Path(f"/proc/{scene.pid}/coredump_filter").write_text("0x7f")
    for folder in (scene.home, Path("/"), Path("/tmp")):  # noqa: S108
        for core in folder.glob("core*"):
            if core.is_file():
                catch.read(core)


@attack(separate=True)
def reads_what_the_agents_user_left_elsewhere(scene: Scene, catch: Catch) -> None:
    for folder in ("/tmp", "/var/tmp", "/dev/shm", "/run"):  # noqa: S108
        for path in _listed(catch, folder):
            _read_if_owned(Path(folder) / path, scene.owner, catch)
    catch.read(scene.home / "agent" / "ledger.db-wal")


@attack(separate=True)
def connects_to_every_socket_there_is(scene: Scene, catch: Catch) -> None:
    """Those of the agent's user on a port of the machine, and the nameless ones in memory."""
    for table in ("tcp", "tcp6", "udp"):
        with suppress(OSError):
            lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
            ports = {int(li.split()[1].rpartition(":")[2], 16) for li in lines if _is(li, scene)}
            catch.note.setdefault("ports", []).extend(ports)
            for port in ports:
                with catch.refused(), socket.create_connection(("127.0.0.1", port), 1) as found:
                    catch.take(found.recv(4096))
    names = re.findall(r"(@\S+)", Path("/proc/net/unix").read_text())
    catch.note["abstract"] = [name for name in names if "agent" in name or "grpc" in name]
    for name in catch.note["abstract"]:
        with catch.refused(), socket.socket(socket.AF_UNIX) as found:
            found.connect("\0" + name[1:])
            catch.take(found.recv(4096))
    for number in _listed(catch, f"/proc/{scene.pid}/fd"):
        catch.read(f"/proc/{scene.pid}/fd/{number}")


@attack(separate=True)
def plants_links_where_the_agent_writes(scene: Scene, catch: Catch) -> None:
    target, run = scene.home / "agent" / "identity.key", scene.home / "run"
    mine = scene.home / "courier" / "planted"
    for place in (run / "x", scene.home / "x", scene.home / "trust" / "roster.json.new"):
        with catch.refused():
            place.symlink_to(target)
        with catch.refused():
            os.link(target, place)
        with catch.refused():
            os.mkfifo(place)
    with catch.refused():
        os.link(target, mine)
    with suppress(FileExistsError):
        mine.symlink_to(target)
    catch.read(mine)
    mine.unlink()


@attack(separate=True)
def puts_itself_in_the_place_of_the_socket(scene: Scene, catch: Catch) -> None:
    path = Path(scene.address.removeprefix("unix://"))
    with catch.refused():
        path.rename(path.with_name("old.sock"))
    with catch.refused():
        path.unlink()
    with catch.refused(), socket.socket(socket.AF_UNIX) as rival:
        rival.bind(str(path.with_name("rival.sock")))
    with catch.refused():
        path.chmod(0o666)
    with catch.refused():
        path.parent.rename(path.parent.with_name("run2"))
    with catch.refused():
        catch.take(" ".join(map(str, path.parent.iterdir())))
    catch.note["socket"] = stat.S_ISSOCK(path.stat().st_mode)


@attack(separate=True)
def speaks_for_the_operator(scene: Scene, catch: Catch) -> None:
    """Writes what only the operator may: a decision, a policy, another centre's key."""
    words = {"agent/accepted/" + "0" * 64: "accepted by the operator\n"}
    words |= {"policy.toml": "epsilon = 50.0\n", "trust/centre.pub": scene.key.public.text}
    words |= {"trust/roster.json": "{}", "site.toml": "[site]\n", "agent/ledger.db.head": ""}
    for name, text in words.items():
        path = scene.home / name
        with catch.refused():
            path.write_text(text)
        with catch.refused():
            path.unlink()
        with catch.refused():
            path.rename(path.with_name("moved"))


def _is(line: str, scene: Scene) -> bool:
    return line.split()[3] == "0A" and line.split()[7] == str(scene.owner)


def _listed(catch: Catch, folder: str) -> list[str]:
    try:
        return [path.name for path in Path(folder).iterdir()]
    except OSError:
        catch.denied += 1
        return []


def _read_if_owned(path: Path, owner: int, catch: Catch) -> None:
    with suppress(OSError):
        found = path.lstat()
        if found.st_uid == owner and stat.S_ISREG(found.st_mode):
            catch.read(path)
        elif found.st_uid == owner and stat.S_ISDIR(found.st_mode):
            for name in _listed(catch, str(path)):
                catch.read(path / name)


def _read_vm(pid: int) -> None:
    """process_vm_readv: a second door to the same memory."""

    class Part(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

    libc, kept = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(64)
    here = Part(ctypes.addressof(kept), 64)
    there = Part(0x400000, 64)
    if libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) < 0:
        raise OSError(ctypes.get_errno(), "no reading")
