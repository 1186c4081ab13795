import assert from "node:assert/strict";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { TrustState } from "../../../protocol/trust/mod.ts";
import { StateFiles } from "../../../daemon/state_files.ts";
import { openTrust } from "../../../daemon/trust/open_trust.ts";
import { MAX_TOMBSTONES, RevocationJournal } from "../../../daemon/trust/revocation_journal.ts";

const NOW = 1_800_000_000_000;

async function withHome(body: (home: string) => Promise<void>): Promise<void> {
  const home = await Deno.makeTempDir();
  try {
    await body(home);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

Deno.test("RevocationJournal keeps what was noted until it is cleared, in a file that never grows", async () => {
  await withHome(async (home) => {
    const path = join(home, "revoked.journal");
    const size = async () => (await Deno.stat(path)).size;
    let journal = await RevocationJournal.open(path);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    const before = await size();
    assert.ok(before > 0, "its room is taken at the start");
    await journal.note(7, NOW, 2 ** 53 - 1);
    await journal.note(0xffffffff, NOW + 1, 0);
    await journal.close();
    journal = await RevocationJournal.open(path);
    const noted = () =>
      journal.found.map(({ node, atMs, seenOrder }) => ({ node, atMs, seenOrder }));
    assert.deepEqual(noted(), [{ node: 7, atMs: NOW, seenOrder: 2 ** 53 - 1 }, {
      node: 0xffffffff,
      atMs: NOW + 1,
      seenOrder: 0,
    }]);
    // What is noted now goes behind what was found.
    await journal.note(9, NOW + 2, 3);
    await journal.close();
    journal = await RevocationJournal.open(path);
    assert.deepEqual(noted().map(({ node }) => node), [7, 0xffffffff, 9]);
    await journal.clear();
    await journal.close();
    journal = await RevocationJournal.open(path);
    assert.deepEqual(noted(), []);
    await journal.close();
    assert.equal(await size(), before);
  });
});

Deno.test("RevocationJournal says when it is full, and passes over what a crash has torn", async () => {
  await withHome(async (home) => {
    const path = join(home, "revoked.journal");
    let journal = await RevocationJournal.open(path);
    for (let node = 1; node <= MAX_TOMBSTONES; node++) await journal.note(node, NOW, 1);
    await assert.rejects(journal.note(9999, NOW, 1), { code: "limit_exceeded" });
    await journal.close();
    const bytes = await Deno.readFile(path);
    bytes[5]! ^= 1;
    await Deno.writeFile(path, bytes.subarray(0, bytes.length - 3));
    journal = await RevocationJournal.open(path);
    assert.deepEqual(
      journal.found.map(({ node }) => node),
      Array.from({ length: MAX_TOMBSTONES - 2 }, (_, i) => i + 2),
    );
    await journal.close();
  });
});

Deno.test("openTrust ends trust that was revoked after trust.json was written, not trust given since", async () => {
  await withHome(async (home) => {
    const files = new StateFiles(home, join(home, "identity.json"));
    const state = new TrustState();
    for (const node of [7, 8]) state.onRequest(node, { now: NOW, autoApprove: true });
    state.onRequest(9, { now: NOW + 100, autoApprove: true });
    await files.saveTrust(state.toFile());
    const journal = await files.revocations();
    await journal.note(7, NOW + 50, 8);
    await journal.note(9, NOW + 50, 0);
    await journal.close();
    const open = () => openTrust(files, NOW + 200, (message) => assert.fail(`warned: ${message}`));
    for (const round of ["first", "second"]) {
      const opened = await open();
      const trusted = opened.state.trusted().map(({ nodeId }) => nodeId);
      assert.deepEqual(trusted, [8, 9], `${round} start`);
      assert.equal(opened.state.isRevoked(7), true);
      assert.equal(opened.state.seenOrder(7), 8);
      assert.ok(
        opened.state.owed().some(({ nodeId, type }) => nodeId === 7 && type === "handshake_revoke"),
        "the peer is told",
      );
      await opened.close();
    }
  });
});

Deno.test("openTrust starts without a place for revocations, and says so", async () => {
  await withHome(async (home) => {
    await Deno.mkdir(join(home, "revoked.journal"));
    const warnings: string[] = [];
    const files = new StateFiles(home, join(home, "identity.json"));
    const opened = await openTrust(files, NOW, (message) => void warnings.push(message));
    assert.equal(warnings.length, 1);
    await assert.rejects(opened.tombstones.note(7, NOW, 0), { code: "io_error" });
    await opened.close();
  });
});

Deno.test("RevocationJournal.clear does not take along what is noted while it runs", async () => {
  await withHome(async (home) => {
    const path = join(home, "revoked.journal");
    let journal = await RevocationJournal.open(path);
    for (const node of [1, 2, 3]) await journal.note(node, NOW, 0);
    // The kernel may do the longer write last.
    const probe = await open(path);
    const prototype = Object.getPrototypeOf(probe);
    await probe.close();
    const { write } = prototype;
    prototype.write = async function (bytes: Uint8Array, ...rest: unknown[]) {
      if (bytes.length > 24) await new Promise((resolve) => setTimeout(resolve, 50));
      return await write.call(this, bytes, ...rest);
    };
    try {
      await Promise.all([journal.clear(), journal.note(9, NOW, 0)]);
    } finally {
      prototype.write = write;
    }
    await journal.close();
    journal = await RevocationJournal.open(path);
    assert.deepEqual(journal.found.map(({ node }) => node), [9]);
    await journal.close();
  });
});
