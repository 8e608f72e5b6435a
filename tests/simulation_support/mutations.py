#!/usr/bin/env python3
"""Makes one deliberate mistake after another in a copy of the sources, and demands that the
simulation finds each.

    tests/simulation_support/mutations.py              # all
    tests/simulation_support/mutations.py a1 b         # these
    SCHEDULES=20000 tests/simulation_support/mutations.py m

Needs nothing but Python, git and cargo. Where a mistake could only be made between two steps at
which no thread of the simulation can be interrupted, it comes with a reading of the clock or an
await point between them, which is such a point.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

RECORDS, FEED = "src/cache/records.rs", "src/cache/feed.rs"
HELD, SHARED, VERIFIER = "src/held.rs", "src/shared.rs", "src/verifier.rs"

LAND = "let may_enter = shard.land(id, flight);"
EXTEND = "self.feed.extend(begun, clock.monotonic());"
APPLY = "                    for change in &changes {\n"
ADVANCE = "                    self.feed.advance(next);\n                    changes.len() < PAGE\n"
PAGE = ("const PAGE: usize = 1000;", "const PAGE: usize = 1;")

# For each: its name, what is wrong, and what is replaced where. What must not fail comes first.
MUTATIONS = [
    ("-0", "nothing is wrong", []),
    ("-k", "nothing is wrong: changes are read one by one", [(FEED, *PAGE)]),
    ("a1", "a read enters the cache though it was barred",
     [(RECORDS, LAND, "let _ = shard.land(id, flight);\n        let may_enter = true;")]),
    ("a2", "forgetting a record bars no read of it",
     [(RECORDS, "        shard.bar(id);\n        self.entries", "        self.entries")]),
    ("a3", "forgetting all bars no read",
     [(RECORDS, "        self.shards.each().for_each(|mut shard| shard.bar_all());\n", "")]),
    ("b", "the lease counts from the end of the poll",
     [(FEED, EXTEND, "let end = clock.monotonic();\n                self.feed.extend(end, end);")]),
    ("c", "the lease is read at the check, after the record was taken",
     [(HELD, "            None => leased.until,\n", "            None => leased.until.max(cache.lease()),\n"),
      (RECORDS, "    /// The record, if it is in memory.",
       "    pub(crate) fn lease(&self) -> Duration {\n        self.feed.lease()\n    }\n\n"
       "    /// The record, if it is in memory.")]),
    ("d1", "every record may be relied on",
     [(HELD, "self.clock.monotonic() < until", "self.clock.monotonic() < until || true")]),
    ("d2", "the check comes before the decision",
     [(VERIFIER,
       "            let decided = self.accept(held.record(), &compare, &digest_again).await;\n"
       "            if self.shared.may_rely_on(&held, decided.as_ref().err()) {\n",
       "            let may_rely_on = self.shared.may_rely_on(&held, None);\n"
       "            let decided = self.accept(held.record(), &compare, &digest_again).await;\n"
       "            if may_rely_on {\n")]),
    ("e", "a read counts from its end",
     [(RECORDS, "        let found = store.find(id).await?;\n",
       "        let found = store.find(id).await?;\n        let read_at = clock.monotonic();\n")]),
    ("f1", "own writes are not forgotten",
     [(SHARED,
       "        batch.inserts.iter().chain(&batch.updates).for_each(|record| self.forget(&record.id));\n",
       "")]),
    ("f2", "what somebody else did before is not forgotten",
     [(SHARED, "        self.forget(&record.id);\n        written\n",
       "        written\n")]),
    ("g1", "a read that others began is taken for one's own",
     [(RECORDS, "if answer.is_some() || seat.is_first || is_second {",
       "if answer.is_some() || seat.is_first || is_second || true {")]),
    ("g2", "a read that found nothing can be joined when it is over",
     [(RECORDS, LAND,
       "let may_enter = matches!(answer, Ok(Some(_))) && shard.land(id, flight);")]),
    ("h", "the lease is extended before the changes are applied",
     [(FEED, APPLY,
       "                    if changes.len() < PAGE {\n"
       f"                        {EXTEND}\n"
       "                        clock.monotonic();\n"
       "                    }\n" + APPLY)]),
    ("i", "a reset forgets nothing",
     [(FEED, "                    self.forget_all();\n", "")]),
    ("j", "the cursor advances before the changes are applied, and the poll may be dropped between",
     [(FEED, ADVANCE, "                    changes.len() < PAGE\n"),
      (FEED, APPLY,
       "                    self.feed.advance(next);\n"
       "                    tokio::task::yield_now().await;\n" + APPLY)]),
    ("k", "the lease is extended after the first page, though more follow",
     [(FEED, *PAGE),
      (FEED, f"            if is_last {{\n                {EXTEND}\n",
       f"            {EXTEND}\n            if is_last {{\n")]),
    ("l", "a final refusal lasts as long as the lease",
     [(RECORDS,
       "leased.until.min(leased.entry.read_at.saturating_add(self.max_staleness()))",
       "leased.until")]),
    ("m", "answers that are older than what was applied are taken",
     [(RECORDS, "if as_of < applied {", "if as_of < applied && false {")]),
]


def main():
    here = pathlib.Path(__file__).resolve().parents[2]
    schedules = os.environ.get("SCHEDULES", "4000")
    chosen = [mutation for mutation in MUTATIONS if mutation[0] in sys.argv[1:]]
    unknown = set(sys.argv[1:]) - {name for name, _, _ in chosen}
    if unknown:
        sys.exit(f"no such mutation: {', '.join(sorted(unknown))}")
    target = target_directory(here)
    # Always the same place, so that the next one is built from the one before.
    tree = target / "mutations"
    copy(here, tree)
    # Also those that do not run now: each must still find its place.
    for _, _, replacements in MUTATIONS:
        restore(mutate(tree, replacements))
    wrong = []
    for name, what, replacements in chosen or MUTATIONS:
        begun = time.monotonic()
        originals = mutate(tree, replacements)
        found = simulate(tree, target, schedules)
        restore(originals)
        is_right = (found is None) == name.startswith("-")
        outcome = f"found by schedule {found}" if found else f"passes {schedules} schedules"
        seconds = time.monotonic() - begun
        mark = "  " if is_right else "! "
        print(f"{mark}{name:3} {outcome:28} {seconds:4.0f} s  {what}", flush=True)
        if not is_right:
            wrong.append(name)
    if wrong:
        sys.exit(f"not as it should be: {', '.join(wrong)}")


def target_directory(here):
    metadata = subprocess.run(
        ["cargo", "metadata", "--format-version=1", "--no-deps"],
        cwd=here, check=True, capture_output=True, text=True,
    ).stdout
    return pathlib.Path(re.search(r'"target_directory":"([^"]*)"', metadata)[1])


def copy(here, tree):
    """What git would commit, and the versions in use; nothing that was there before."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=here, check=True, capture_output=True, text=True,
    ).stdout
    names = [*filter(None, listed.split("\0")), "Cargo.lock"]
    kept = {tree / name for name in names if (here / name).is_file()}
    for copied in tree.rglob("*"):
        if copied.is_file() and copied not in kept:
            copied.unlink()
    for name in names:
        source, copied = here / name, tree / name
        if not source.is_file():
            continue
        # Only what differs, since cargo goes by the time of the last change.
        if not copied.is_file() or copied.read_bytes() != source.read_bytes():
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copied)


def mutate(tree, replacements):
    originals = {}
    for name, old, new in replacements:
        path = tree / name
        text = path.read_text()
        originals.setdefault(path, text)
        if text.count(old) != 1:
            sys.exit(f"{name}: {text.count(old)} times instead of once:\n{old}")
        path.write_text(text.replace(old, new))
    return originals


def restore(originals):
    for path, original in originals.items():
        path.write_text(original)


def simulate(tree, target, schedules):
    """How many schedules it takes to find that something is wrong; `None` if that is not found."""
    environment = {
        **os.environ,
        "CARGO_TARGET_DIR": str(target),
        "API_TOKENS_SIMULATION_SEED": "1",
        "API_TOKENS_SIMULATION_SCHEDULES": schedules,
    }
    command = ["cargo", "test", "--quiet", "--test", "test_simulation"]
    built = subprocess.run(
        [*command, "--no-run"], cwd=tree, env=environment, capture_output=True, text=True
    )
    if built.returncode:
        sys.exit(f"does not compile:\n{built.stderr}")
    ran = subprocess.run(
        [*command, "--", "--nocapture"], cwd=tree, env=environment, capture_output=True, text=True
    )
    if ran.returncode == 0:
        return None
    found = re.search(r"after (\d+) others", ran.stdout + ran.stderr)
    if not found:
        sys.exit(f"failed for another reason:\n{ran.stdout}{ran.stderr}")
    return int(found[1]) + 1


main()
