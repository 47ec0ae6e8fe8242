"""`mascaron-admin release`: puts releases together, signs them, puts them in force, takes back."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from common.errors import MascaronError, ReleaseError
from common.evidence.bundle import Release
from common.evidence.gates import judge, refused
from common.evidence.history import Entry, History
from common.evidence.limits import Gates, Known, load_gates
from common.models.safetensors_import import write_whole
from common.outputs import check_folder
from server.commands.charter import find
from server.commands.tail import Made, made_by, public_heads
from server.home import CentreHome
from server.release.building import Ground, build_release, claims_of, known_of
from server.release.promoting import First, promote, roll_back, sign_release, sites_of, withdraw
from server.release.registry import Registry
from server.release.seen import seen_by_sites
from server.standing import public_key, roster_of

SHORT = 12  # letters of a digest that name a release to people


def build_command(
    home: CentreHome, run: str, evidence: Path, pool: str | None, now: float
) -> dict[str, Any]:
    """Builds the release of one ``pool`` of ``run`` from the folder ``evidence``; not signed.

    ``RunError`` before the first round is done, ``ReleaseError`` for evidence that cannot be read
    or a pool that has to be named.
    """
    release = assembled(home, run, evidence, pool, now)
    Registry(home).put(release)
    stopped = refused(release.manifest.verdict)
    short = release.digest[:SHORT]
    return {
        **_told(release),
        **_left_out(home, release),
        "files": len(release.files),
        "bytes": Registry(home).size_of(release.digest),
        "refused_by": list(stopped),
        "next": f"mascaron-admin release {'show' if stopped else 'sign'} {short}",
    }


def assembled(home: CentreHome, run: str, evidence: Path, pool: str | None, now: float) -> Release:
    """The release that ``build_command`` keeps, with its verdict; nothing is kept here."""
    made = made_by(home, run)
    known = known_of(made.terms, made.initial, public_heads(home, made.terms))
    judged_by = (_gates(home), known)
    return build_release(_ground(made, pool), evidence, judged_by, int(now))


def claims_command(home: CentreHome, run: str, out: Path, pool: str | None) -> dict[str, Any]:
    """Writes what a release of ``run`` will claim, and the log of its training, into ``out``.

    Beside the evidence, so that its page shows them; `release build` makes them anew. Raises
    ``ReleaseError`` for a pool that has to be named.
    """
    check_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    ground = _ground(made_by(home, run), pool)
    for section in claims_of(ground):
        write_whole(out / f"{section.kind}.json", section.to_json().encode())
    return {
        "run": run,
        "pool": ground.pool,
        "tail": ground.tail.hash,
        "next": f"mascaron-lab evidence --out {out} --tail FILE of `mascaron-admin tail {run}`",
    }


def show_command(home: CentreHome, prefix: str | None, now: float) -> dict[str, Any]:
    """All releases, their history and who saw it; or one, judged anew by the gates of today.

    ``HistoryError`` if a site saw another history, or more of this one.
    """
    registry = Registry(home)
    history = registry.history()
    if prefix is not None:
        release = registry.get(registry.find(prefix))
        verdicts = judge(release, *_judged_by(home, release))
        return {
            **_told(release),
            "signed": _is_signed(home, release),
            "standing": _standing(history, release),
            "gates": [asdict(verdict) for verdict in verdicts],
            "refused_by": list(refused(verdicts)),
            "files": {file.name: file.sha256 for file in release.manifest.files},
        }
    found = []
    for digest in registry.digests():
        release = registry.get(digest)
        signed = _is_signed(home, release)
        found.append({**_told(release), "signed": signed, "standing": _standing(history, release)})
    entries = [_entry(entry) for entry in history.entries]
    return {"releases": found, "history": entries, "sites": asdict(seen_by_sites(home, now))}


def sign_command(home: CentreHome, prefix: str) -> dict[str, Any]:
    """Signs a release with the centre's key. It may still fail a gate: then none can promote it."""
    release = sign_release(home, Registry(home).find(prefix))
    return {
        **_told(release),
        "signed": True,
        "next": f"mascaron-admin release promote {release.digest[:SHORT]} --canary 0.1",
    }


def promote_command(
    home: CentreHome, prefix: str, first: First | None, now: float
) -> dict[str, Any]:
    """Puts a release in force; ``ReleaseError`` names every gate that refuses it."""
    registry = Registry(home)
    digest = registry.find(prefix)
    judged_by = _judged_by(home, registry.get(digest))
    entry, verdicts = promote(home, digest, judged_by, first, now)
    sites = entry.sites or tuple(sites_of(roster_of(home), entry.pool))
    after = f"mascaron-admin release promote {digest[:SHORT]}" if first is not None else ""
    return {
        **_entry(entry),
        "sites": list(sites),
        "gates": [asdict(verdict) for verdict in verdicts],
        "next": after or "sites stage it when they next ask; each promotes it at its own door",
    }


def rollback_command(home: CentreHome, prefix: str, reason: str, now: float) -> dict[str, Any]:
    """Puts a release that was in force before in force again, with a signed reason."""
    return _entry(roll_back(home, Registry(home).find(prefix), reason, now))


def withdraw_command(home: CentreHome, prefix: str, reason: str, now: float) -> dict[str, Any]:
    """Ends a release for good, with a signed reason."""
    return _entry(withdraw(home, Registry(home).find(prefix), reason, now))


def first_of(canary: float | None, sites: str | None) -> First | None:
    """What was typed: None for everybody; ``ReleaseError`` for both at once."""
    if canary is None and sites is None:
        return None
    names = tuple(name.strip() for name in sites.split(",")) if sites is not None else ()
    return First(share=canary or 0.0, sites=names)


def _ground(made: Made, pool: str | None) -> Ground:
    """One pool of what a run made: ``pool``, or the only one there is."""
    chosen = pool if pool is not None else next(iter(made.tails), "")
    if chosen not in made.tails or (pool is None and len(made.tails) != 1):
        names = ", ".join(sorted(made.tails))
        raise ReleaseError(f"name one pool of {made.terms.run} with --pool: {names}")
    return Ground(
        terms=made.terms,
        charter=made.charter,
        state=made.state,
        pool=chosen,
        tail=made.tails[chosen],
        heads=made.heads.get(chosen, b""),
    )


def _gates(home: CentreHome) -> Gates:
    return load_gates(home.gates if home.gates.exists() else None)


def _judged_by(home: CentreHome, release: Release) -> tuple[Gates, Known]:
    """Gates, and what the signed charter of the release's run says."""
    terms, initial, _ = find(home, release.manifest.run)
    return _gates(home), known_of(terms, initial, public_heads(home, terms))


def _left_out(home: CentreHome, release: Release) -> dict[str, str]:
    """A word where the run trained heads and nobody measured them: then the tail ships alone."""
    trained = find(home, release.manifest.run)[0].plan.heads
    if release.heads is not None or not trained:
        return {}
    return {"left_out": "heads: no section of them in the evidence, see `mascaron-lab audit heads`"}


def _is_signed(home: CentreHome, release: Release) -> bool:
    try:
        release.check_signature(public_key(home))
    except MascaronError:
        return False
    return True


def _standing(history: History, release: Release) -> str:
    found = history.standing(release.manifest.pool)
    if release.digest in found.withdrawn:
        return "withdrawn"
    if release.digest == found.in_force:
        return "in force"
    if release.digest == found.canary:
        return "canary"
    return "was in force" if release.digest in found.before else "waiting"


def _told(release: Release) -> dict[str, Any]:
    manifest = release.manifest
    return {
        "release": release.digest,
        "run": manifest.run,
        "pool": manifest.pool,
        "tail": manifest.tail,
        "trunk": manifest.trunk,
        "heads": _heads(release),
        "made": manifest.made,
    }


def _heads(release: Release) -> dict[str, Any] | None:
    if release.heads is None:
        return None
    return {"file": release.heads_file, "kinds": list(release.heads.kinds)}


def _entry(entry: Entry) -> dict[str, Any]:
    told = asdict(entry)
    return {key: told[key] for key in ("number", "action", "release", "pool", "reason", "time")} | (
        {"sites": list(entry.sites), "share": entry.share} if entry.sites else {}
    )
