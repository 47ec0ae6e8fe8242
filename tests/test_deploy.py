"""What deploy/ starts is what there is, under users that differ, with no network for the agent."""

import re
import shlex
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from client.cli import main as site_cli
from client.home import SiteHome
from server.cli import main as admin_cli
from server.serving.guard import GatewayLimits

DEPLOY = Path(__file__).parents[1] / "deploy"
UNITS = DEPLOY / "systemd"
SERVICES = ("centre", "agent", "courier", "admission")
COMMANDS = {"mascaron-site": site_cli, "mascaron-admin": admin_cli}
SITE = "/var/lib/mascaron/site"
ALWAYS = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "CapabilityBoundingSet": "",
    "SystemCallArchitectures": "native",
    "LimitCORE": "0",
    "PrivateMounts": "yes",
    "UMask": "0077",
}


def unit(name: str) -> dict[str, list[str]]:
    """Every setting of a unit and its values, in order."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in (UNITS / name).read_text("utf-8").splitlines():
        if line and line[0] not in "#[":
            key, separator, value = line.partition("=")
            assert separator, line
            found[key].append(value)
    return dict(found)


def service(name: str) -> dict[str, list[str]]:
    return unit(f"mascaron-{name}.service")


def check_command(words: list[str]) -> None:
    """That the command and its options are there; nothing is run."""
    name, command = Path(words[0]).name, COMMANDS[Path(words[0]).name]
    rest = words[1:]
    while isinstance(command, click.Group):
        name, command, rest = rest[0], command.commands[rest[0]], rest[1:]
    command.make_context(name, rest, resilient_parsing="TOKEN" in words)


# systemd.


def test_every_command_of_a_unit_is_there_with_its_options() -> None:
    told = []
    for name in SERVICES:
        found = service(name)
        for line in found["ExecStart"] + found.get("ExecStartPre", []):
            words = shlex.split(line.removeprefix("+"))
            check_command(words)
            told.append(words[1:2])
    assert sorted(told) == [["admission"], ["join"], ["join"], ["release"], ["serve"], ["serve"]]


def test_users_differ_and_only_the_agents_reads_the_identity() -> None:
    users = {name: service(name)["User"] for name in SERVICES}
    assert users["admission"] == users["agent"]
    assert len({user for [user] in users.values()}) == 3
    assert "root" not in str(users)
    declared = (UNITS / "sysusers.conf").read_text("utf-8")
    for [user] in users.values():
        assert re.search(rf"^u {user} ", declared, re.M)


@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_is_confined(name: str) -> None:
    found = service(name)
    for key, value in ALWAYS.items():
        assert found[key] == [value], key
    assert found["SystemCallFilter"][0] == "@system-service"
    assert found["SystemCallFilter"][1].startswith("~")
    assert found.get("MemoryDenyWriteExecute", ["no"]) == (
        ["yes"] if name in ("courier", "admission") else ["no"]
    )


def size(text: str) -> int:
    """Bytes of a limit as systemd and compose write it."""
    return int(text[:-1]) * 2 ** {"M": 20, "G": 30}[text[-1].upper()]


@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_takes_a_bounded_part_of_the_machine(name: str) -> None:
    found = service(name)
    [memory], [tasks] = found["MemoryMax"], found["TasksMax"]
    assert size(memory) <= 8 * 2**30
    assert int(tasks) <= 1024
    if name != "centre":
        assert found["MemorySwapMax"] == ["0"]  # nothing of a person is written to a disk
    if name in ("centre", "courier"):  # which have a supervisor for what is ended
        assert found["OOMPolicy"] == ["continue"]


def test_the_courier_may_take_less_than_the_agent_beside_it() -> None:
    for table, mark in ((compose()["services"], "mem_limit"), (None, "MemoryMax")):
        agent = table["agent"][mark] if table else service("agent")[mark][0]
        courier = table["courier"][mark] if table else service("courier")[mark][0]
        assert size(courier) < size(agent)


def test_the_gateway_may_open_all_connections_that_it_bears() -> None:
    limits = GatewayLimits()
    needed = limits.connections + limits.requests + 256
    assert int(service("centre")["LimitNOFILE"][0]) >= needed
    assert compose()["services"]["centre"]["ulimits"]["nofile"] >= needed


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_believes_a_unit_to_be_confined(name: str) -> None:
    path = UNITS / f"mascaron-{name}.service"
    command = ["systemd-analyze", "security", "--offline=yes", "--threshold=20", path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-300:]


def test_the_agent_has_no_network_and_the_courier_no_face() -> None:
    agent, courier, admission = service("agent"), service("courier"), service("admission")
    assert agent["PrivateNetwork"] == ["yes"]
    assert agent["RestrictAddressFamilies"] == ["AF_UNIX"]
    assert agent["IPAddressDeny"] == ["any"]
    assert courier["InaccessiblePaths"] == [f"-{SITE}/agent"]
    assert courier["ReadWritePaths"] == [f"{SITE}/courier"]
    assert agent["ReadWritePaths"] == [f"{SITE}/agent {SITE}/run"]
    hidden = " ".join(admission["InaccessiblePaths"])
    home = SiteHome(Path(SITE))
    secret = (home.features, home.ledger, home.ledger_key, home.vault, home.vault_key, home.runs)
    door = (home.releases, home.audit, home.callers, home.operator_token)
    assert {f"-{path}" for path in (*secret, *door)} <= set(hidden.split())
    assert home.commitments.parent == home.trust  # what it writes down of the audit log
    assert admission["ReadWritePaths"] == [f"{SITE}/trust"]


def test_agent_and_courier_meet_at_a_socket_of_a_group_they_share() -> None:
    agent, courier = service("agent"), service("courier")
    [group] = agent["SupplementaryGroups"]
    assert courier["SupplementaryGroups"] == [group]
    assert agent["ExecStart"][0].endswith(f"--group {group}")
    declared = (UNITS / "sysusers.conf").read_text("utf-8")
    for one in (agent, courier):
        assert re.search(rf"^m {one['User'][0]}\s+{group}$", declared, re.M)


def test_the_timer_starts_the_admission_on_a_fixed_schedule() -> None:
    timer = unit("mascaron-admission.timer")
    assert timer["OnCalendar"] == ["hourly"]
    assert timer["WantedBy"] == ["timers.target"]
    assert service("admission")["Type"] == ["oneshot"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    copies = []
    for path in sorted(UNITS.glob("mascaron-*")):
        text = re.sub(r"/opt/mascaron/\w+/bin/[\w-]+", "/bin/true", path.read_text("utf-8"))
        copies.append(tmp_path / path.name)
        copies[-1].write_text(text, "utf-8")
    assert len(copies) == len(SERVICES) + 1
    done = subprocess.run(["systemd-analyze", "verify", *copies], capture_output=True, text=True)
    assert done.returncode == 0 and "mascaron" not in done.stderr, done.stderr


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="needs systemd-sysusers")
def test_systemd_makes_users_and_folders_of_the_snippets(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    for program, options in (("sysusers", ()), ("tmpfiles", ("--create",))):
        command = [f"systemd-{program}", f"--root={tmp_path}", *options]
        done = subprocess.run([*command, UNITS / f"{program}.conf"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    numbers = {
        line.split(":")[0]: int(line.split(":")[2])
        for line in (tmp_path / "etc" / "passwd").read_text("utf-8").splitlines()
    }
    home = tmp_path / "var" / "lib" / "mascaron"
    assert home.joinpath("site").stat().st_mode & 0o777 == 0o755
    assert home.joinpath("centre").stat().st_mode & 0o777 == 0o700
    assert {"mascaron-centre", "mascaron-agent", "mascaron-courier"} <= set(numbers)


# Containers.


def compose() -> dict[str, Any]:
    table: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    return table


def mounts(one: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    """Where each volume is mounted, and whether it may be written to."""
    found = {}
    for line in one["volumes"]:
        source, target, *rest = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", line).split(":")
        found[source] = (target, rest != ["ro"])
    return found


def words_of(one: dict[str, Any]) -> list[str]:
    """What a container runs, as somebody would type it."""
    entry = one.get("entrypoint")
    if entry is None:
        file = DEPLOY / Path(one["build"]["dockerfile"]).name if "build" in one else None
        text = (file or DEPLOY / f"{one['image'].removeprefix('mascaron-')}.Dockerfile").read_text()
        [program] = re.findall(r'^ENTRYPOINT \["(.*)"\]$', text, re.M)
        return [program, *one["command"]]
    if entry[0] == "sh":
        [typed] = re.findall(r"do (mascaron-[^;]*);", entry[2])
        return shlex.split(typed)
    return [*entry, "--token", "TOKEN"]


def test_every_command_of_a_container_is_there_with_its_options() -> None:
    for one in compose()["services"].values():
        check_command(words_of(one))
    for name in ("centre", "agent", "courier"):
        text = (DEPLOY / f"{name}.Dockerfile").read_text("utf-8")
        [program] = re.findall(r'^ENTRYPOINT \["(.*)"\]$', text, re.M)
        [command] = re.findall(r"^CMD \[(.*)\]$", text, re.M)
        check_command([program, *re.findall(r'"([^"]*)"', command)])


def test_containers_run_as_users_that_differ_with_images_of_one_part_each() -> None:
    services = compose()["services"]
    parts = ("centre", "agent", "courier")
    assert len({services[name]["user"] for name in parts}) == 3
    assert services["admission"]["user"] == services["init"]["user"] == services["agent"]["user"]
    for name in parts:
        text = (DEPLOY / f"{name}.Dockerfile").read_text("utf-8")
        assert re.findall(r"'/src\[(\w+)\]'", text) == [name]
        assert f"USER {services[name]['user']}" in text
        assert services[name]["image"] == f"mascaron-{name}"
        assert ("torch" in text.split("FROM")[1]) == (name != "courier")
    roots = [name for name, one in services.items() if one["user"].startswith("0:")]
    assert roots == ["prepare"]
    assert services["prepare"]["network_mode"] == "none"


def test_every_container_is_confined() -> None:
    for name, one in compose()["services"].items():
        assert one["read_only"] is True, name
        assert one["cap_drop"] == ["ALL"]
        assert one["security_opt"] == ["no-new-privileges:true"]
        assert one["memswap_limit"] == one["mem_limit"]  # no swap
        assert size(one["mem_limit"]) <= 8 * 2**30
        assert 0 < one["pids_limit"] <= 1024
        assert one["ulimits"]["core"] == 0 and one["ulimits"]["nofile"] <= 8192
        assert "privileged" not in one and "pid" not in one
        assert ("cap_add" in one) == (name == "prepare")


def test_the_agents_container_has_no_network_and_shares_only_its_door_and_trust() -> None:
    services, volumes = compose()["services"], compose()["volumes"]
    agent, courier = services["agent"], services["courier"]
    assert agent["network_mode"] == "none"
    assert "ports" not in agent and "ports" not in courier
    mine, theirs = mounts(agent), mounts(courier)
    assert mine["door"] == theirs["door"] == (f"{SITE}/run", True)
    assert mine["private"] == (f"{SITE}/agent", True)
    assert theirs["courier"] == (f"{SITE}/courier", True)
    writable = {v for v, (_, may) in mine.items() if may} & {v for v, (_, m) in theirs.items() if m}
    assert writable == {"door"}
    assert "private" not in theirs and "courier" not in mine
    assert not any(source.startswith("/") for source in theirs)  # no folder of the operator's
    assert agent["group_add"] == courier["group_add"] == [agent["command"][-1]]
    named = {source for one in services.values() for source in mounts(one) if source[0] != "/"}
    assert named == set(volumes)


@pytest.mark.parametrize("name", ["agent", "centre"])
@pytest.mark.parametrize("index", ["", "https://index.example/cpu"])
def test_torch_comes_from_the_index_that_the_operator_names_or_from_pips_own(
    name: str, index: str
) -> None:
    text = (DEPLOY / f"{name}.Dockerfile").read_text("utf-8")
    [line] = re.findall(r"^RUN (pip install .*torch==.*) \\$", text, re.M)
    script = 'pip() { for word; do echo "$word"; done; }; ' + line
    done = subprocess.run(
        ["sh", "-euc", script], env={"TORCH_INDEX": index}, capture_output=True, text=True
    )
    named = ["--index-url", index] if index else []
    assert done.stdout.split("\n")[:-1] == [
        *("install", "--no-cache-dir"), *named, f"torch=={made_with()}"
    ]  # fmt: skip
    assert compose()["services"][name]["build"]["args"] == {
        "TORCH_INDEX": "${MASCARON_TORCH_INDEX:-}"
    }
    assert re.search(r"^ARG TORCH_INDEX=$", text, re.M)


def made_with() -> str:
    """The version of torch that the Makefile takes."""
    makefile = (DEPLOY.parent / "Makefile").read_text("utf-8")
    [found] = re.findall(r"^TORCH := (.*)$", makefile, re.M)
    return found


def test_no_image_names_where_packages_come_from() -> None:
    files = [*DEPLOY.glob("*.Dockerfile"), DEPLOY / "compose.yaml"]
    assert len(files) == 4
    assert not [path.name for path in files if "://" in path.read_text("utf-8")]
