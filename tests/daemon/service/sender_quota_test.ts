import assert from "node:assert/strict";
import { type Counted, SenderQuota } from "../../../daemon/service/sender_quota.ts";
import { rejectsWith } from "../../sdk/support.ts";
import { ManualClock } from "../../support/manual_clock.ts";

/** A directory in memory; counts what is asked of it. */
class Files {
  readonly files = new Map<string, Counted>();
  readonly clock = new ManualClock();
  /** How long a listing takes, ms. */
  listMs = 0;
  lists = 0;
  looks = 0;

  quota(limits: Partial<SenderQuotaLimits> = {}): SenderQuota {
    return new SenderQuota({
      clock: this.clock,
      noun: "messages",
      limits: {
        maxFiles: 100,
        maxFilesPerSender: 40,
        maxBytes: 100_000,
        maxBytesPerSender: 40_000,
        ...limits,
      },
      list: () => {
        this.lists++;
        this.clock.advance(this.listMs);
        return Promise.resolve([...this.files.keys()]);
      },
      look: (name) => {
        this.looks++;
        return Promise.resolve(this.files.get(name));
      },
    });
  }

  fill(sender: number | undefined, count: number, size: number = 100): void {
    for (let n = 0; n < count; n++) this.files.set(`${sender}-${n}`, { sender, size });
  }
}

type SenderQuotaLimits = ConstructorParameters<typeof SenderQuota>[0]["limits"];

/** Takes room for a file and stores it. */
async function store(files: Files, quota: SenderQuota, sender: number, name: string, size = 100) {
  const room = await quota.take(sender, size);
  files.files.set(name, { sender, size });
  room.stored(name);
}

Deno.test("ten thousand files are looked at once, and not again for each that comes or is refused", async () => {
  const files = new Files();
  files.fill(1, 9_000, 1);
  const quota = files.quota({ maxFiles: 20_000, maxFilesPerSender: 9_500 });
  for (let n = 0; n < 500; n++) await store(files, quota, 1, `new${n}`, 1);
  assert.deepEqual([files.lists, files.looks], [1, 9_000]);
  const refused = Array.from({ length: 50 }, () => quota.take(1, 1));
  for (const one of refused) await rejectsWith(one, "limit_exceeded", /^9500 messages of yours/);
  assert.deepEqual([files.lists, files.looks], [2, 9_000]);
});

Deno.test("the last tenth is kept for those who have little there", async () => {
  const files = new Files();
  for (const sender of [1, 2, 3]) files.fill(sender, 30);
  const quota = files.quota();
  await rejectsWith(quota.take(1, 100), "limit_exceeded", /no room for more messages/);
  for (let n = 0; n < 8; n++) await store(files, quota, 4, `d${n}`);
  // By bytes, too: not more than a hundredth.
  await rejectsWith(quota.take(5, 1001), "limit_exceeded", /no room/);
  for (let n = 0; n < 2; n++) await store(files, quota, 5, `e${n}`);
  await rejectsWith(quota.take(6, 1), "limit_exceeded", /no room/);
});

Deno.test("files whose sender is unknown count for the whole only", async () => {
  const files = new Files();
  files.fill(undefined, 80);
  const quota = files.quota();
  for (let n = 0; n < 15; n++) await store(files, quota, n, `s${n}`);
  assert.equal((await quota.take(20, 1)) !== undefined, true);
});

Deno.test("room that is given back, and files removed by others, can be used again", async () => {
  const files = new Files();
  const quota = files.quota({ maxFilesPerSender: 1 });
  const room = await quota.take(1, 10);
  await rejectsWith(quota.take(1, 10), "limit_exceeded");
  room.release();
  room.release(); // a second time is not more room
  await store(files, quota, 1, "a");
  await rejectsWith(quota.take(1, 10), "limit_exceeded");
  files.files.delete("a");
  await store(files, quota, 1, "b");
  await rejectsWith(quota.take(1, 10), "limit_exceeded");
});

Deno.test("listing takes little of the time, however often somebody is refused, and nobody waits long", async () => {
  const files = new Files();
  files.fill(1, 40);
  const quota = files.quota();
  for (const [listMs, pauseMs] of [[10, 200], [40, 800], [70, 1_000], [500, 1_000]] as const) {
    files.listMs = listMs;
    await files.clock.run(1_000);
    await files.clock.finish(rejectsWith(quota.take(1, 1), "limit_exceeded"));
    const before = files.lists;
    const refused = Array.from({ length: 10 }, () => quota.take(1, 1).catch(() => "refused"));
    await files.clock.run(pauseMs - 1);
    assert.equal(files.lists, before, `${listMs} ms`);
    await files.clock.run(1);
    assert.deepEqual(new Set(await Promise.all(refused)), new Set(["refused"]));
    assert.equal(files.lists, before + 1);
  }
});
