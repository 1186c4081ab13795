import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { ReceivedFiles } from "../../../daemon/service/received_files.ts";
import { stampFileName } from "../../../daemon/service/stored_name.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const OLD = 3_000;
const NEW = 160;
const AT_ONCE = 16;

/** A directory with old files of one sender. */
async function withOld(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    for (let n = 0; n < OLD; n++) {
      const stamp = `20260101-000000.000-${String(n).padStart(6, "0")}`;
      Deno.writeTextFileSync(join(dir, stampFileName("old.bin", stamp, 7)), "x");
    }
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("files that come many at a time beside thousands of old ones are all taken, and the old ones looked at once", () =>
  withOld(async (dir) => {
    const limits = {
      maxFiles: 100_000,
      maxFilesPerSender: 10_000,
      maxBytes: 1_000_000,
      maxBytesPerSender: 1_000_000,
    };
    const freeBytes = () => Promise.resolve(Number.MAX_SAFE_INTEGER);
    const files = new ReceivedFiles({ dir, clock: new ManualClock(), limits, freeBytes });
    const receive = async (n: number): Promise<void> => {
      const data = new TextEncoder().encode(`content ${n}`);
      const sha256 = new Uint8Array(createHash("sha256").update(data).digest());
      const transferId = sha256.subarray(0, 16).toHex();
      const key = { peer: 2 + n % 3, transferId, size: data.length, sha256 };
      const partial = await files.openPartial(key);
      await partial.write(0, data.subarray(0, 4));
      if (n % 4 === 0) { // broken off and gone on with
        await partial.close();
        const rest = await files.openPartial(key);
        await rest.write(4, data.subarray(4));
        await files.finish(rest, key.peer, `${n}.bin`);
        return;
      }
      await partial.write(4, data.subarray(4));
      await files.finish(partial, key.peer, `${n}.bin`);
    };
    await receive(NEW); // counts what is there
    // Whoever listed the directory again would find it full.
    const decoy = stampFileName("decoy", "20260101-000000.000-000000", 9);
    await Deno.writeFile(join(dir, decoy), new Uint8Array(limits.maxBytes + 1));
    let next = 0;
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      while (next < NEW) await receive(next++);
    }));
    const kept = [...Deno.readDirSync(dir)].filter(({ name }) => /^\d+-.*\.bin$/.test(name));
    assert.equal(kept.length, NEW + 1);
  }));

Deno.test("removed by others while files come: what is free is found before anything is refused", () =>
  withOld(async (dir) => {
    const limits = { maxFiles: 100_000, maxFilesPerSender: OLD + 1 };
    const files = new ReceivedFiles({ dir, clock: new ManualClock(), limits });
    const data = new TextEncoder().encode("x");
    await files.save(7, "last.bin", data);
    await assert.rejects(files.save(7, "more.bin", data), { code: "limit_exceeded" });
    for (const { name } of [...Deno.readDirSync(dir)].slice(0, AT_ONCE)) {
      await Deno.remove(join(dir, name));
    }
    await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => files.save(7, `${n}.bin`, data)));
  }));
